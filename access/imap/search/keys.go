package search

import (
	"math"

	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

const daySeconds = 24 * 60 * 60

// leaf reads a key that holds no other.
func (p *parser) leaf(not bool) error {
	n := node{not: not}
	if c := p.d.Peek(); c >= '0' && c <= '9' || c == '*' || c == '$' {
		if err := p.set(&n, opNumbers); err != nil {
			return err
		}
		return p.take(n)
	}
	word, ok := p.d.Atom()
	var name [20]byte
	if !ok || len(word) > len(name) {
		return ErrSyntax
	}
	key := name[:copy(name[:], word)]
	for i, c := range key {
		if c-'a' < 26 {
			key[i] = c - 'a' + 'A'
		}
	}
	for _, read := range [...]func(*parser, *node, string) (bool, error){(*parser).flagKey, (*parser).dateKey, (*parser).stringKey, (*parser).otherKey} {
		known, err := read(p, &n, string(key))
		if err != nil {
			return err
		}
		if known {
			return p.take(n)
		}
	}
	return ErrSyntax
}

// take adds a key.
func (p *parser) take(n node) error {
	text := n.op.cost() == costText
	if text {
		if len(p.texts) == MaxTexts {
			return ErrTooMany
		}
		n.lo = int64(len(p.texts))
	}
	i, err := p.add(n)
	if text {
		p.texts = append(p.texts, i)
	}
	return err
}

// flagKey reads the keys that have no argument.
func (p *parser) flagKey(n *node, key string) (bool, error) {
	flag := func(f mailbox.Flags) { n.op, n.lo = opFlags, int64(f) }
	unflag := func(f mailbox.Flags) { flag(f); n.not = !n.not }
	switch key {
	case "ALL", "SAVEDATESUPPORTED": // RFC 8514 section 4.3: every mailbox has save dates
		n.op = opAll
	case "ANSWERED":
		flag(mailbox.FlagAnswered)
	case "DELETED":
		flag(mailbox.FlagDeleted)
	case "DRAFT":
		flag(mailbox.FlagDraft)
	case "FLAGGED":
		flag(mailbox.FlagFlagged)
	case "SEEN":
		flag(mailbox.FlagSeen)
	case "UNANSWERED":
		unflag(mailbox.FlagAnswered)
	case "UNDELETED":
		unflag(mailbox.FlagDeleted)
	case "UNDRAFT":
		unflag(mailbox.FlagDraft)
	case "UNFLAGGED":
		unflag(mailbox.FlagFlagged)
	case "UNSEEN":
		unflag(mailbox.FlagSeen)
	case "RECENT":
		n.op = opRecent
	case "OLD":
		n.op, n.not = opRecent, !n.not
	case "NEW":
		n.op, n.lo = opRecent, int64(mailbox.FlagSeen)
	default:
		return false, nil
	}
	return true, nil
}

// dateKey reads the keys with a date. The zone of a date is not regarded (RFC 9051
// section 6.4.4): those that we tell are in UTC.
func (p *parser) dateKey(n *node, key string) (bool, error) {
	unit := int64(daySeconds)
	switch key {
	case "BEFORE", "ON", "SINCE":
		n.op = opReceived
	case "SENTBEFORE", "SENTON", "SENTSINCE":
		n.op, unit, key = opSent, 1, key[len("SENT"):]
	case "SAVEDBEFORE", "SAVEDON", "SAVEDSINCE":
		n.op, key = opSaved, key[len("SAVED"):]
	default:
		return false, nil
	}
	if !p.d.SP() {
		return true, ErrSyntax
	}
	text, ok := p.d.AString()
	day, valid := imapwire.ParseDate(text)
	if !ok || !valid {
		return true, ErrSyntax
	}
	from := day.Unix() / daySeconds
	if day.Unix() < 0 {
		from = (day.Unix() - daySeconds + 1) / daySeconds
	}
	n.lo, n.hi = from*unit, (from+1)*unit
	switch key {
	case "BEFORE":
		n.lo, n.hi = math.MinInt64, n.lo
	case "SINCE":
		n.hi = math.MaxInt64
	}
	return true, nil
}

// stringKey reads the keys with a string.
func (p *parser) stringKey(n *node, key string) (bool, error) {
	n.op = opHeader
	switch key {
	case "BCC", "CC", "FROM", "SUBJECT", "TO":
		n.name = p.intern(appendLower(p.scratch[:0], []byte(key)))
	case "HEADER":
		if !p.d.SP() {
			return true, ErrSyntax
		}
		name, ok := p.d.AString()
		if !ok || len(name) == 0 {
			return true, ErrSyntax
		}
		p.scratch = appendLower(p.scratch[:0], name)
		n.name = p.intern(p.scratch)
	case "BODY":
		n.op = opBody
	case "TEXT":
		n.op = opText
	default:
		return false, nil
	}
	if !p.d.SP() {
		return true, ErrSyntax
	}
	text, ok := p.d.AString()
	if !ok {
		return true, ErrSyntax
	}
	if p.charset != nil {
		decoded, err := p.charset.NewDecoder().Bytes(text)
		if err != nil {
			return true, ErrCharset
		}
		text = decoded
	}
	start := len(p.arena)
	p.arena = appendFold(p.arena, text)
	n.text = span{uint32(start), uint32(len(p.arena) - start)}
	if n.op.cost() == costText && n.text.len == 0 {
		n.op = opAll // every text holds it
	}
	return true, nil
}
