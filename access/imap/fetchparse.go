package imap

import (
	"strconv"

	"postrider/access/imapwire"
)

// parse reads what follows the sequence set of FETCH: the items and the modifiers.
func (p *fetchPlan) parse(d *imapwire.Decoder) bool {
	p.reset()
	if d.Peek() != '(' {
		start := d.Offset()
		if word, ok := d.Word(); !ok || !p.macro(word) {
			d.Seek(start)
			if !p.item(d) {
				return false
			}
		}
	} else if !p.list(d) {
		return false
	}
	if d.End() {
		return true
	}
	return d.SP() && p.modifiers(d) && d.End()
}

func (p *fetchPlan) list(d *imapwire.Decoder) bool {
	if !d.Enter() {
		return false
	}
	for {
		if !p.item(d) {
			return false
		}
		if d.Leave() {
			return true
		}
		if !d.SP() {
			return false
		}
	}
}

// macro adds the items that a word stands for.
func (p *fetchPlan) macro(word []byte) bool {
	n := 0
	switch {
	case imapwire.Is(word, "FAST"):
		n = 3
	case imapwire.Is(word, "ALL"):
		n = 4
	case imapwire.Is(word, "FULL"):
		n = 5
	}
	kinds := [...]fetchKind{fetchFlags, fetchDate, fetchSize, fetchEnvelope, fetchBody}
	for _, kind := range kinds[:n] {
		p.add(fetchItem{kind: kind})
	}
	return n > 0
}

// item reads one data item.
func (p *fetchPlan) item(d *imapwire.Decoder) bool {
	word, ok := d.Word()
	if !ok {
		return false
	}
	if d.Peek() == '[' {
		return p.sectionItem(d, word)
	}
	if kind, ok := plainItem(word); ok {
		if kind == fetchPreview && !p.previewModifier(d) {
			return false
		}
		return p.add(fetchItem{kind: kind})
	}
	return p.oldItem(word)
}

// plainItem returns the kind of an item that is a word.
func plainItem(word []byte) (fetchKind, bool) {
	for _, known := range [...]struct {
		name string
		kind fetchKind
	}{
		{"FLAGS", fetchFlags},
		{"UID", fetchUID},
		{"RFC822.SIZE", fetchSize},
		{"ENVELOPE", fetchEnvelope},
		{"INTERNALDATE", fetchDate},
		{"BODYSTRUCTURE", fetchStructure},
		{"BODY", fetchBody},
		{"MODSEQ", fetchModSeq},
		{"PREVIEW", fetchPreview},
		{"SAVEDATE", fetchSaved},
		{"EMAILID", fetchEmailID},
		{"THREADID", fetchThreadID},
	} {
		if imapwire.Is(word, known.name) {
			return known.kind, true
		}
	}
	return 0, false
}

// oldItem adds what has a name of its own beside that of its section (RFC 3501 section
// 6.4.5). The forms with PEEK are of RFC 1730; Outlook asks for them.
func (p *fetchPlan) oldItem(word []byte) bool {
	item := fetchItem{kind: fetchSection}
	peek := false
	switch {
	case imapwire.Is(word, "RFC822"):
		item.label = []byte("RFC822 ")
	case imapwire.Is(word, "RFC822.PEEK"):
		item.label, peek = []byte("RFC822 "), true
	case imapwire.Is(word, "RFC822.HEADER"):
		item.label, item.section, peek = []byte("RFC822.HEADER "), sectionHeader, true
	case imapwire.Is(word, "RFC822.TEXT"):
		item.label, item.section = []byte("RFC822.TEXT "), sectionText
	case imapwire.Is(word, "RFC822.TEXT.PEEK"):
		item.label, item.section, peek = []byte("RFC822.TEXT "), sectionText, true
	default:
		return false
	}
	p.seen = p.seen || !peek
	return p.add(item)
}

// previewModifier reads the modifiers of PREVIEW (RFC 8970 section 3.1). LAZY changes
// nothing: previews are kept with the message.
func (p *fetchPlan) previewModifier(d *imapwire.Decoder) bool {
	start := d.Offset()
	if !d.SP() || !d.Enter() {
		d.Seek(start)
		return true
	}
	word, ok := d.Atom()
	return ok && imapwire.Is(word, "LAZY") && d.Leave()
}

// modifiers reads the list of FETCH modifiers (RFC 4466 section 2.4).
func (p *fetchPlan) modifiers(d *imapwire.Decoder) bool {
	if !d.Enter() {
		return false
	}
	for {
		word, ok := d.Atom()
		switch {
		case !ok:
			return false
		case imapwire.Is(word, "CHANGEDSINCE") && !p.modified:
			if p.modified = true; !d.SP() {
				return false
			}
			if p.changedSince, ok = d.Number64(); !ok {
				return false
			}
		case imapwire.Is(word, "VANISHED") && !p.vanished:
			p.vanished = true
		case imapwire.Is(word, "PARTIAL") && !p.paged:
			if p.paged = true; !d.SP() || !p.page(d) {
				return false
			}
		default:
			return false
		}
		if d.Leave() {
			return true
		}
		if !d.SP() {
			return false
		}
	}
}

// page reads a partial-range (RFC 9394 section 4): "1:100", or "-1:-100" from the end.
func (p *fetchPlan) page(d *imapwire.Decoder) bool {
	sign := int64(1)
	if d.Byte('-') {
		sign = -1
	}
	from, ok := d.Number()
	if !ok || from == 0 || !d.Byte(':') || sign < 0 && !d.Byte('-') {
		return false
	}
	to, ok := d.Number()
	if !ok || to == 0 {
		return false
	}
	p.pageFrom, p.pageTo = sign*int64(min(from, to)), sign*int64(max(from, to))
	return true
}

// appendPartial appends how the answer calls the octets that are wanted: by the first
// one alone.
func appendPartial(dst []byte, offset int64) []byte {
	return append(strconv.AppendInt(append(dst, '<'), offset, 10), '>')
}
