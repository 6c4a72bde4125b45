package imap

import (
	"bytes"
	"strconv"

	"postrider/access/imapwire"
)

// sectionItem reads what follows the name of an item with a section.
func (p *fetchPlan) sectionItem(d *imapwire.Decoder, word []byte) bool {
	item := fetchItem{kind: fetchSection}
	start := len(p.labels)
	peek := true
	switch {
	case imapwire.Is(word, "BODY"), imapwire.Is(word, "BODY.PEEK"):
		peek = len(word) > len("BODY")
		p.labels = append(p.labels, "BODY["...)
	case imapwire.Is(word, "BINARY"), imapwire.Is(word, "BINARY.PEEK"):
		item.kind, peek = fetchBinary, len(word) > len("BINARY")
		p.labels = append(p.labels, "BINARY["...)
	case imapwire.Is(word, "BINARY.SIZE"):
		item.kind = fetchBinarySize
		p.labels = append(p.labels, "BINARY.SIZE["...)
	default:
		return false
	}
	if !d.Byte('[') || !p.section(d, &item) || !d.Byte(']') {
		return false
	}
	p.labels = append(p.labels, ']')
	if d.Peek() == '<' {
		if item.kind == fetchBinarySize || !item.window(d) {
			return false
		}
		p.labels = appendPartial(p.labels, item.offset)
	}
	p.labels = append(p.labels, ' ')
	item.label = p.labels[start:len(p.labels):len(p.labels)]
	p.seen = p.seen || !peek
	return p.add(item)
}

// section reads a section's text: numbers, and what of the part is wanted (RFC 9051
// section 9).
func (p *fetchPlan) section(d *imapwire.Decoder, item *fetchItem) bool {
	if d.Peek() == ']' {
		return true
	}
	word, ok := d.Word()
	if !ok {
		return false
	}
	start := len(p.numbers)
	for len(word) > 0 && word[0] >= '0' && word[0] <= '9' {
		first, rest, more := bytes.Cut(word, []byte{'.'})
		n, err := strconv.ParseUint(string(first), 10, 32)
		if err != nil || n == 0 || first[0] == '0' || more && len(rest) == 0 {
			return false
		}
		p.numbers = append(p.numbers, uint32(n))
		p.labels = strconv.AppendUint(p.labels, n, 10)
		if word = rest; more {
			p.labels = append(p.labels, '.')
		}
	}
	item.numbers = p.numbers[start:len(p.numbers):len(p.numbers)]
	if len(word) == 0 {
		return true
	}
	if item.kind != fetchSection { // section-binary has numbers only
		return false
	}
	name := len(p.labels)
	p.labels = append(p.labels, bytes.ToUpper(word)...)
	switch string(p.labels[name:]) {
	case "HEADER":
		item.section = sectionHeader
	case "TEXT":
		item.section = sectionText
	case "MIME":
		item.section = sectionMIME
		return len(item.numbers) > 0
	case "HEADER.FIELDS":
		item.section = sectionFields
		return p.fieldList(d, item)
	case "HEADER.FIELDS.NOT":
		item.section = sectionNotFields
		return p.fieldList(d, item)
	default:
		return false
	}
	return true
}

// fieldList reads the names of header fields. The answer repeats them as they were
// sent.
func (p *fetchPlan) fieldList(d *imapwire.Decoder, item *fetchItem) bool {
	if !d.SP() || !d.Enter() {
		return false
	}
	item.fields = p.fieldSet()
	p.labels = append(p.labels, ' ')
	for sep := byte('('); ; sep = ' ' {
		name, ok := d.AString()
		if !ok || !fieldName(name) || p.fields == maxFetchFields {
			return false
		}
		p.fields++
		item.fields.add(name)
		p.labels = imapwire.AppendAString(append(p.labels, sep), name, false)
		if d.Leave() {
			p.labels = append(p.labels, ')')
			return true
		}
		if !d.SP() {
			return false
		}
	}
}

// fieldName reports what a header field may be called (RFC 5322 section 2.2).
func fieldName(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return len(name) > 0
}

// window reads which octets are wanted.
func (i *fetchItem) window(d *imapwire.Decoder) bool {
	if !d.Byte('<') {
		return false
	}
	offset, ok := d.Number64()
	if !ok || !d.Byte('.') {
		return false
	}
	count, ok := d.Number64()
	if !ok || count == 0 || !d.Byte('>') {
		return false
	}
	i.partial, i.offset, i.count = true, int64(offset), int64(count)
	return true
}
