package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/internal/mail"
	"postrider/queue/internal/record"
	"postrider/queue/internal/rows"
	"postrider/queue/internal/table"
)

// Item is one message of a listing.
type Item struct {
	Envelope   *mail.Envelope
	Recipients []RecipientState // those that fit the filter
}

// RecipientState is one recipient that has not ended.
type RecipientState struct {
	Index    int // in Item.Envelope.Recipients
	State    State
	Version  uint32 // counts its changes
	Attempts uint16 // up to 255
	Due      time.Time
	Lane     string
	Flow     string
	Warned   bool        // the sender was told that it is late
	Status   mail.Status // the last reply
}

// List calls yield for each message with recipients that fit f, in the order of
// their ids, until yield returns false. The Item and all in it are valid during
// the call, from which the queue may be used, but not closed. A listing sees the
// messages that waited when it began, each in its state at the moment.
func (q *Queue) List(ctx context.Context, f Filter, yield func(*Item) bool) error {
	if q.dead.Load() {
		return ErrClosed
	}
	l := &listing{q: q, m: newMatcher(f, q.o.Clock())}
	defer l.close()
	if err := l.begin(); err != nil {
		return err
	}
	for n := 0; f.Limit <= 0 || n < f.Limit; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("list: %w", err)
		}
		id, ok, err := l.next()
		if err != nil || !ok {
			return err
		}
		fits, more, err := l.item(id, yield)
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
		if fits {
			n++
		}
	}
	return nil
}

// listing is a List under way: the ids of hot messages merged with those of a
// Pebble snapshot, both as of one moment.
type listing struct {
	q       *Queue
	m       *matcher
	hot     []mail.ID
	snap    *pebble.Snapshot
	sources []source

	it    Item
	texts []byte
	key   []byte
	row   []byte
	rrow  []byte
	msg   record.Message
	rcpt  rows.Recipient
}

// source is a run of rows that are sorted by id.
type source struct {
	it     *pebble.Iterator
	prefix []byte
	rcpt   bool // keys end with a recipient
	tag    uint32
	tagged bool
	id     mail.ID
	ok     bool
}

// begin takes the moment. Moved rows are written before the table turns them
// from hot to moved, under the same lock: what is not in the one is in the other.
func (l *listing) begin() error {
	q := l.q
	q.mu.Lock()
	for _, e := range q.hot {
		if e != nil && len(e.slots) > 0 && e.id.Compare(l.m.After) > 0 {
			l.hot = append(l.hot, e.id)
		}
	}
	l.snap = q.st.db.NewSnapshot()
	prefixes := l.prefixesLocked()
	q.mu.Unlock()
	slices.SortFunc(l.hot, mail.ID.Compare)
	if len(l.m.IDs) > 0 {
		return nil
	}
	if l.m.Code != 0 && prefixes == nil {
		var err error
		if prefixes, err = l.reasonPrefixes(); err != nil {
			return err
		}
	}
	if prefixes == nil {
		prefixes = [][]byte{{rows.PrefixMessage}}
	}
	for _, p := range prefixes {
		if err := l.addSource(p); err != nil {
			return err
		}
	}
	return nil
}

// maxSources bounds how many runs are merged; beyond, all messages are read.
const maxSources = 64

// prefixesLocked chooses the index that leaves least to read; nil: none fits.
func (l *listing) prefixesLocked() [][]byte {
	m := l.m
	switch {
	case len(m.from) > 0:
		return [][]byte{rows.SenderPrefix(nil, m.from)}
	case string(m.fromDomain) == "<>":
		return [][]byte{rows.SenderPrefix(nil, nil)}
	case len(m.to) > 0:
		return [][]byte{rows.DomainPrefix(nil, mail.DomainOf(m.to))}
	case len(m.toDomain) > 0:
		return [][]byte{rows.DomainPrefix(nil, m.toDomain)}
	case len(m.fromDomain) > 0:
		return [][]byte{rows.SenderPrefix(nil, append([]byte{'@'}, m.fromDomain...))}
	case m.Lane != "":
		var ps [][]byte
		for _, d := range l.q.dests {
			if d == nil || d.waiting == 0 || d.lane.key != m.Lane {
				continue
			}
			if len(ps) == maxSources {
				return nil
			}
			ps = append(ps, rows.DomainPrefix(nil, []byte(d.domain)))
		}
		return ps
	}
	return nil
}

// reasonPrefixes returns the runs of one basic code: each enhanced code has its
// own.
func (l *listing) reasonPrefixes() ([][]byte, error) {
	all := rows.ReasonCodePrefix(nil, uint16(l.m.Code))
	it, err := l.snap.NewIter(&pebble.IterOptions{LowerBound: all, UpperBound: rows.After(nil, all)})
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	var ps [][]byte
	n := len(rows.ReasonPrefix(nil, 0, mail.Enhanced{}))
	for ok := it.First(); ok; {
		if len(ps) == maxSources || len(it.Key()) < n {
			ps = nil
			break
		}
		p := slices.Clone(it.Key()[:n])
		ps = append(ps, p)
		ok = it.SeekGE(rows.After(nil, p))
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	return ps, nil
}

func (l *listing) addSource(prefix []byte) error {
	it, err := l.snap.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: rows.After(nil, prefix)})
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	s := source{it: it, prefix: prefix, rcpt: prefix[0] == rows.PrefixDomain || prefix[0] == rows.PrefixReason}
	switch {
	case prefix[0] == rows.PrefixSender && len(l.m.from) > 0:
		s.tag, s.tagged = rows.Tag(l.m.from), true
	case prefix[0] == rows.PrefixDomain && len(l.m.to) > 0:
		s.tag, s.tagged = rows.Tag(l.m.to), true
	}
	s.seek(l.m.After)
	l.sources = append(l.sources, s)
	return nil
}

// seek goes to the first row of an id above after.
func (s *source) seek(after mail.ID) {
	key := rows.WithID(slices.Clone(s.prefix), after)
	s.ok = s.it.SeekGE(key)
	s.settle(after)
}

// advance goes to the first row of an id above the one it stands on.
func (s *source) advance() {
	s.ok = s.it.Next()
	s.settle(s.id)
}

func (s *source) settle(after mail.ID) {
	for ; s.ok; s.ok = s.it.Next() {
		if s.tagged {
			v, err := s.it.ValueAndErr()
			if err != nil || !rows.TagFits(v, s.tag) {
				continue // an error stays in the iterator and is seen at the end
			}
		}
		var ok bool
		if s.rcpt {
			s.id, _, ok = rows.SplitRecipient(s.it.Key())
		} else {
			s.id, ok = rows.SplitID(s.it.Key())
		}
		if ok && s.id.Compare(after) > 0 {
			return
		}
	}
}

// next returns the next candidate.
func (l *listing) next() (mail.ID, bool, error) {
	if ids := l.m.IDs; len(ids) > 0 {
		k, found := slices.BinarySearchFunc(ids, l.m.After, mail.ID.Compare)
		if found {
			k++
		}
		if k == len(ids) {
			return mail.ID{}, false, nil
		}
		l.m.After = ids[k]
		return ids[k], true, nil
	}
	var best mail.ID
	found := false
	if len(l.hot) > 0 {
		best, found = l.hot[0], true
	}
	for k := range l.sources {
		if s := &l.sources[k]; s.ok && (!found || s.id.Compare(best) < 0) {
			best, found = s.id, true
		} else if !s.ok && s.it.Error() != nil {
			return best, false, fmt.Errorf("list: %w", s.it.Error())
		}
	}
	if len(l.hot) > 0 && l.hot[0] == best {
		l.hot = l.hot[1:]
	}
	for k := range l.sources {
		if s := &l.sources[k]; s.ok && s.id == best {
			s.advance()
		}
	}
	return best, found, nil
}

// item yields message id if it still waits and fits; more is what yield said.
func (l *listing) item(id mail.ID, yield func(*Item) bool) (fits, more bool, err error) {
	q := l.q
	it := &l.it
	it.Envelope, it.Recipients, l.texts = nil, it.Recipients[:0], l.texts[:0]
	q.mu.Lock()
	i := q.index.Find(q.tb, id)
	var e *entry
	if i != 0 {
		e = l.statesLocked(i)
	}
	q.mu.Unlock()
	if e != nil {
		defer q.unhold(e)
	} else {
		found, err := l.readRows(id, i != 0)
		if err != nil || !found {
			return false, true, err
		}
	}
	if !l.m.message(it.Envelope) {
		return false, true, nil
	}
	it.Recipients = slices.DeleteFunc(it.Recipients, func(r RecipientState) bool {
		return r.Index >= len(it.Envelope.Recipients) || !l.m.waiting(&r) ||
			!l.m.recipient(it.Envelope.Recipients[r.Index].Address, &r.Status)
	})
	if len(it.Recipients) == 0 {
		return false, true, nil
	}
	return true, yield(it), nil
}

// statesLocked copies what memory knows of the message of slot i. A hot one is
// returned and held; of a moved one the rows tell the rest.
func (l *listing) statesLocked(i uint32) *entry {
	q := l.q
	if !q.tb.At(i).Has(table.Hot) {
		for k := i; ; {
			l.addStateLocked(k)
			if k = q.tb.At(k).Link; k == i {
				break
			}
		}
		slices.SortFunc(l.it.Recipients, func(a, b RecipientState) int { return cmp.Compare(a.Index, b.Index) })
		return nil
	}
	e := q.hot[q.tb.At(i).Link]
	for _, k := range e.slots {
		r := l.addStateLocked(k)
		if e.reply != nil {
			r.Status = e.reply[r.Index].status()
			r.Status.Text = l.keep(r.Status.Text)
		}
	}
	l.it.Envelope = e.env
	q.holdLocked(e)
	return e
}

func (l *listing) addStateLocked(k uint32) *RecipientState {
	q := l.q
	s := q.tb.At(k)
	r := RecipientState{
		Index: int(s.Rcpt), State: State(s.State()), Version: s.Version, Attempts: uint16(s.Attempts),
		Warned: s.Has(table.Warned), Lane: q.destOfLocked(s).lane.key, Flow: q.flows.name(q.bk.At(s.Bucket).Flow),
	}
	if r.State == Deferred {
		r.Due = q.timeOf(s.Due)
	}
	l.it.Recipients = append(l.it.Recipients, r)
	return &l.it.Recipients[len(l.it.Recipients)-1]
}

// keep copies b into the item's memory.
func (l *listing) keep(b []byte) []byte {
	n := len(l.texts)
	l.texts = append(l.texts, b...)
	return l.texts[n:len(l.texts):len(l.texts)]
}

// readRows completes a moved message from its rows; false when it has ended.
// known says that memory has its recipients; before Loaded only the rows may.
func (l *listing) readRows(id mail.ID, known bool) (bool, error) {
	q := l.q
	if !known {
		select {
		case <-q.loaded:
			return false, nil
		default:
		}
	}
	if _, err := q.st.message(id, &l.key, &l.row, &l.msg); errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	} else if err != nil {
		q.alarm("damage", err)
		return false, nil // one message cannot be shown; the others can
	}
	l.it.Envelope = &l.msg.Envelope
	if !known {
		for k := range l.msg.Envelope.Recipients {
			l.it.Recipients = append(l.it.Recipients, RecipientState{Index: k})
		}
	}
	for k := range l.it.Recipients {
		r := &l.it.Recipients[k]
		l.key = rows.RecipientKey(l.key[:0], id, uint32(r.Index))
		found, err := rowOf(q.st.db, l.key, &l.rrow, &l.rcpt)
		if err != nil {
			q.alarm("damage", err)
		}
		if err != nil || !found {
			continue
		}
		r.Status = mail.Status{Code: l.rcpt.Code, Enhanced: l.rcpt.Enhanced, Text: l.keep(l.rcpt.Text)}
		if !known {
			r.State, r.Version, r.Attempts = State(l.rcpt.State), l.rcpt.Version, l.rcpt.Attempts
			r.Due = time.UnixMilli(l.rcpt.DueUnixMilli)
			r.Lane, r.Flow = q.bind(l.rcpt.Domain, l.rcpt.Via), string(l.rcpt.Flow)
			r.Warned = l.rcpt.Flags&record.FlagWarned != 0
		}
	}
	if !known {
		l.it.Recipients = slices.DeleteFunc(l.it.Recipients, func(r RecipientState) bool { return r.State == 0 })
	}
	return len(l.it.Recipients) > 0, nil
}

func (l *listing) close() {
	for k := range l.sources {
		_ = l.sources[k].it.Close() // its error was seen when it ended
	}
	if l.snap != nil {
		_ = l.snap.Close()
	}
}

// Body opens the text of a message that has not ended, for showing it. release
// must be called when it is no longer read. Unknown ids give ErrNotFound.
func (q *Queue) Body(id mail.ID) (text mail.Body, release func(), err error) {
	if q.dead.Load() {
		return nil, nil, ErrClosed
	}
	j := &Job{q: q, id: id}
	q.mu.Lock()
	i := q.index.Find(q.tb, id)
	if i != 0 && q.tb.At(i).Has(table.Hot) {
		j.e = q.hot[q.tb.At(i).Link]
		q.holdLocked(j.e)
		j.pinLocked()
	}
	q.mu.Unlock()
	if j.e == nil {
		err := q.readMoved(id, &j.key, &j.row, &j.msg, &j.body)
		if errors.Is(err, pebble.ErrNotFound) {
			return nil, nil, ErrNotFound
		}
		if err != nil {
			return nil, nil, err
		}
		return &j.body, j.body.release, nil
	}
	j.open()
	return &j.body, func() {
		j.body.release()
		q.unhold(j.e)
	}, nil
}
