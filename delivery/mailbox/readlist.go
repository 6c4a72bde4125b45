package mailbox

import (
	"errors"
	"maps"
	"runtime"
	"sync"

	"postrider/delivery/mailbox/internal/rows"
)

// A large array is read by some goroutines at once, each a part of the UIDs: whoever
// opens a mailbox waits for it.
const (
	readPart    = 16 << 10 // messages that are worth a goroutine
	mostReaders = 4
)

// listPart is a piece of the array as it is read.
type listPart struct {
	from, to uint32 // UIDs
	entries  []Entry
	more     map[uint32]uint64
	err      error
}

// readList reads the array, of n messages, from the index.
func (m *Mailbox) readList(n int, uidNext uint32) (*snapshot, error) {
	readers := max(1, min(n/readPart, mostReaders, runtime.GOMAXPROCS(0)))
	parts := make([]listPart, readers)
	step := uidNext/uint32(readers) + 1
	for i := range parts {
		parts[i] = listPart{from: uint32(i) * step, to: uint32(i+1)*step - 1}
	}
	parts[readers-1].to = 1<<32 - 1
	var wg sync.WaitGroup
	for i := range parts[1:] {
		wg.Go(func() { m.readPart(&parts[i+1], n/readers) })
	}
	m.readPart(&parts[0], n/readers)
	wg.Wait()
	l := &snapshot{spans: make([]span, 0, n/spanLen+1)}
	var err error
	for i := range parts {
		p := &parts[i]
		err = errors.Join(err, p.err)
		for _, e := range p.entries {
			l.push(e)
		}
		if l.more == nil {
			l.more = p.more
		} else {
			maps.Copy(l.more, p.more)
		}
	}
	return l, err
}

// readPart reads the part's messages, of which about n are expected.
func (m *Mailbox) readPart(p *listPart, n int) {
	p.entries = make([]Entry, 0, n)
	p.err = scanEntries(m.a.s.db, m, p.from, p.to, func(uid uint32, v []byte) (bool, error) {
		flags, more, modSeq, ok := rows.EntryMarks(v)
		if !ok {
			return false, rows.ErrMalformed
		}
		p.entries = append(p.entries, Entry{uid, Flags(flags), modSeq})
		if more != 0 {
			if p.more == nil {
				p.more = make(map[uint32]uint64)
			}
			p.more[uid] = more
		}
		return true, nil
	})
}
