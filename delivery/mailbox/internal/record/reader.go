package record

import "postrider/internal/mail"

// Part is a part that was read: Kind says which field counts.
type Part struct {
	Kind    PartKind
	Blob    Blob
	Entry   Entry
	Key     Key
	Mailbox Mailbox
	State   State
	Keyword Keyword
	Account Account

	// Of KindFlags and KindExpunge.
	Box    Box
	ModSeq uint64
	Runs   Runs

	// Of KindSubscriptions, and the ids of KindForget.
	ID      uint32
	Version uint64
	List    List

	// Of KindMetadata, with Box and Version. Mailbox 0 is the account itself.
	Notes Notes
}

// List are names or ids that were read.
type List struct {
	c cursor
	n uint64
}

// Len is how many are left.
func (l *List) Len() int { return int(l.n) }

// Name takes the next name; nil at the end.
func (l *List) Name() []byte {
	if l.n == 0 {
		return nil
	}
	l.n--
	b := l.c.bytes()
	if b == nil {
		b = []byte{}
	}
	return b
}

// ID takes the next id.
func (l *List) ID() (id mail.ID, ok bool) {
	if l.n == 0 {
		return id, false
	}
	l.n--
	copy(id[:], l.c.take(len(id)))
	return id, true
}

// Reader reads the parts of a change.
type Reader struct {
	Copied bool
	c      cursor
}

// Reset begins to read a change.
func (r *Reader) Reset(head []byte) error {
	r.c = cursor{p: head}
	v := r.c.byte()
	switch {
	case r.c.bad || v == 0:
		return ErrMalformed
	case v > Version:
		return ErrVersion
	}
	r.Copied = r.c.bool()
	return r.c.err()
}

// Next reads the next part into p; false at the end, or with an error.
func (r *Reader) Next(p *Part) (bool, error) {
	c := &r.c
	if len(c.p) == 0 || c.bad {
		return false, c.err()
	}
	p.Kind = PartKind(c.byte())
	switch p.Kind {
	case KindBlob:
		p.Blob = Blob{Where: c.byte(), ID: c.uint64(), Size: c.size(), CRC: c.uint32()}
		if p.Blob.Where > Large {
			c.fail()
		}
	case KindEntry:
		readEntry(c, &p.Entry)
	case KindKey:
		p.Key = Key{Box: c.box()}
		copy(p.Key.ID[:], c.take(len(p.Key.ID)))
		p.Key.Recipient, p.Key.UID = c.uint32v(), c.uint32v()
	case KindFlags, KindExpunge:
		p.Box, p.ModSeq = c.box(), c.uvarint()
		r.runs(p)
	case KindMailbox:
		p.Mailbox = Mailbox{Box: c.box(), Deleted: c.bool(), Version: c.uvarint(), UIDValidity: c.uint32v(), Attributes: c.uint16v(), Name: c.bytes()}
	case KindState:
		p.State = State{Box: c.box(), UIDNext: c.uint32v(), HighestModSeq: c.uvarint(), Floor: c.uvarint(), RecentFrom: c.uint32v()}
	case KindKeyword:
		p.Keyword = Keyword{Box: c.box(), Slot: c.byte(), Name: c.bytes()}
	case KindAccount:
		p.Account = Account{
			Deleted: c.bool(), ID: c.uint32v(), Version: c.uvarint(), LimitBytes: c.size(), LimitMessages: c.size(),
			LastValidity: c.uint32v(), NextMailbox: c.uint32v(), Name: c.bytes(),
		}
	case KindSubscriptions:
		p.ID, p.Version = c.uint32v(), c.uvarint()
		r.list(p, func(l *List) { l.Name() })
	case KindForget:
		r.list(p, func(l *List) { l.ID() })
	case KindMetadata:
		p.Box, p.Version = c.box(), c.uvarint()
		p.Notes = Notes{n: c.uvarint()}
		p.Notes.skip(c)
	default:
		c.fail()
	}
	return !c.bad, c.err()
}

func readEntry(c *cursor, e *Entry) {
	*e = Entry{
		Box: c.box(), UID: c.uint32v(), Flags: c.uint32v(), More: c.uvarint(), ModSeq: c.uvarint(), Blob: c.uint64(), Variant: c.uint16v(),
		Size: c.size(), Received: c.varint(), Saved: c.varint(), Prefix: c.bytes(), UIDL: c.bytes(),
	}
	if e.UID == 0 || int64(len(e.Prefix)) > e.Size {
		c.fail()
	}
}

// runs checks the runs that follow and steps over them.
func (r *Reader) runs(p *Part) {
	p.Runs = Runs{c: r.c, kind: p.Kind}
	walk := p.Runs
	var run Run
	for walk.Next(&run) {
	}
	r.c = walk.c
}

// list does the same for names or ids.
func (r *Reader) list(p *Part, next func(*List)) {
	n := r.c.uvarint()
	if n > uint64(len(r.c.p)) {
		r.c.fail()
		return
	}
	p.List = List{c: r.c, n: n}
	walk := p.List
	for walk.n > 0 && !walk.c.bad {
		next(&walk)
	}
	r.c = walk.c
}
