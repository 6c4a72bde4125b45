package mailbox

import (
	"context"
	"errors"

	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
	"postrider/internal/spool"
)

// What a segment holds of a mailbox or an account besides messages.
const (
	namesBox = 1 << iota // the part that names it
	namesWords
	namesSubs
	namesNotes
)

// Estimated bytes of what is logged again, for the decision whether it is worth it.
const (
	entryCost = 120
	flagsCost = 24
	keyCost   = 40
	boxCost   = 160
)

// named is what a segment holds of a mailbox.
type named struct {
	bits    uint8
	entries uidSet // messages whose whole record is there
	flags   uidSet // messages whose flags it changes
	modSeq  uint64 // the highest of those changes
}

// copier logs again what is needed of one segment.
type copier struct {
	ctx   context.Context
	s     *Store
	gen   uint64
	older bool // there are older segments
	cost  int64

	boxes    map[record.Box]*named
	accounts map[uint32]uint8

	reader record.Reader
	part   record.Part
	key    []byte
	flying []*op
	bytes  int64 // in them
}

func newCopier(ctx context.Context, s *Store, gen uint64) *copier {
	return &copier{
		ctx: ctx, s: s, gen: gen, boxes: make(map[record.Box]*named), accounts: make(map[uint32]uint8),
		// An older one that was removed may come back after a power cut, until it is
		// on disk that it is not needed.
		older: s.log.Low() < gen,
	}
}

// walk calls f for every part of the segment's records.
func (k *copier) walk(f func(p *record.Part, r *spool.Recovered) error) error {
	_, err := k.s.log.Walk(k.gen, false, func(r *spool.Recovered) error {
		if err := k.ctx.Err(); err != nil {
			return err
		}
		if r.Kind != record.Kind {
			return ErrVersion
		}
		if err := k.reader.Reset(r.Payload[:len(r.Payload)-len(r.Body)]); err != nil {
			return err
		}
		for {
			more, err := k.reader.Next(&k.part)
			if err != nil || !more {
				return err
			}
			if err := f(&k.part, r); err != nil {
				return err
			}
		}
	})
	return err
}

func (k *copier) box(b record.Box) *named {
	n := k.boxes[b]
	if n == nil {
		n = &named{}
		k.boxes[b] = n
		k.cost += boxCost
	}
	k.accounts[b.Account] |= 0
	return n
}

// look collects what the segment speaks of, and guesses what it costs to log it again.
func (k *copier) look() error {
	return k.walk(func(p *record.Part, _ *spool.Recovered) error {
		switch p.Kind {
		case record.KindBlob:
			if p.Blob.Where == record.Large {
				k.cost += keyCost
			}
		case record.KindEntry:
			e := &p.Entry
			k.box(e.Box).entries.add(e.UID, e.UID)
			k.cost += entryCost + int64(len(e.Prefix)+len(e.UIDL))
		case record.KindKey:
			k.cost += keyCost
		case record.KindFlags:
			n := k.box(p.Box)
			n.modSeq = max(n.modSeq, p.ModSeq)
			var r record.Run
			for p.Runs.Next(&r) {
				n.flags.add(r.From, r.To)
				k.cost += flagsCost
			}
		case record.KindExpunge:
			k.box(p.Box)
			var r record.Run
			for p.Runs.Next(&r) {
				k.cost += flagsCost
			}
		case record.KindMailbox:
			k.box(p.Mailbox.Box).bits |= namesBox
		case record.KindState:
			k.box(p.State.Box)
		case record.KindKeyword:
			k.box(p.Keyword.Box).bits |= namesWords
		case record.KindAccount:
			k.accounts[p.Account.ID] |= namesBox
			k.cost += boxCost
		case record.KindSubscriptions:
			k.accounts[p.ID] |= namesSubs
			k.cost += boxCost
		case record.KindMetadata:
			if p.Box.Mailbox == 0 {
				k.accounts[p.Box.Account] |= namesNotes
			} else {
				k.box(p.Box).bits |= namesNotes
			}
			k.cost += boxCost
		}
		return nil
	})
}

// copyRecords logs again what is copied as it is: texts, keys, and what ends something
// that an older segment may hold.
func (k *copier) copyRecords() error {
	return k.walk(func(p *record.Part, r *spool.Recovered) error {
		switch p.Kind {
		case record.KindBlob:
			return k.copyBlob(&p.Blob, r)
		case record.KindKey:
			return k.copyKey(&p.Key)
		case record.KindExpunge:
			if k.older {
				return k.copyExpunge(p)
			}
		case record.KindMailbox:
			if k.older && p.Mailbox.Deleted {
				o := k.s.newOp(true)
				o.head = record.AppendMailbox(o.head, &p.Mailbox)
				return k.log(o, nil, 0)
			}
		case record.KindAccount:
			if k.older && p.Account.Deleted {
				o := k.s.newOp(true)
				o.head = record.AppendAccount(o.head, &p.Account)
				return k.log(o, nil, 0)
			}
		}
		return nil
	})
}

// copyBlob copies a text, if it is still there, and if somebody needs it.
func (k *copier) copyBlob(b *record.Blob, r *spool.Recovered) error {
	var row rows.Blob
	k.key = rows.BlobKey(k.key[:0], b.ID)
	found, err := get(k.s.db, k.key, func(v []byte) error { return rows.ParseBlob(v, &row) })
	if err != nil || !found || row.Gen != k.gen || row.Large != (b.Where == record.Large) || !row.Large && row.Off != r.BodyAt {
		return err
	}
	o := k.s.newOp(true)
	o.head = record.AppendBlob(o.head, b)
	if row.Large {
		return k.log(o, nil, 0)
	}
	return k.log(o, append([]byte(nil), r.Body...), r.BodyCRC)
}

func (k *copier) copyKey(p *record.Key) error {
	k.key = rows.DeliveryKey(k.key[:0], p.ID, p.Recipient, p.Account, p.Mailbox)
	found, err := get(k.s.db, k.key, func([]byte) error { return nil })
	if err != nil || !found {
		return err
	}
	o := k.s.newOp(true)
	o.head = record.AppendKey(o.head, p)
	return k.log(o, nil, 0)
}

func (k *copier) copyExpunge(p *record.Part) error {
	a, err := k.s.accounts.get(p.Box.Account)
	if a == nil || err != nil || !a.there() || !a.has(p.Box.Mailbox) {
		return err
	}
	o := k.s.newOp(true)
	o.runs.BeginExpunge(o.head, p.Box, p.ModSeq)
	runs := p.Runs
	var r record.Run
	for runs.Next(&r) {
		o.runs.Add(r)
	}
	o.head = o.runs.End()
	return k.log(o, nil, 0)
}

// log appends o and waits for others when too much is under way.
func (k *copier) log(o *op, body []byte, sum uint32) error {
	o.w = spool.Write{Kind: record.Kind, Head: o.head, Body: body, BodyCRC: sum, BodySummed: true, Lazy: true, Committer: o}
	k.s.log.Append(&o.w)
	k.flying = append(k.flying, o)
	if k.bytes += int64(len(o.head) + len(body)); k.bytes < copyWindow && len(k.flying) < batchOps {
		return nil
	}
	return k.wait()
}

// wait waits for all that was appended.
func (k *copier) wait() error {
	var err error
	for _, o := range k.flying {
		<-o.done
		err = errors.Join(err, o.err)
		o.free()
	}
	clear(k.flying)
	k.flying, k.bytes = k.flying[:0], 0
	return err
}
