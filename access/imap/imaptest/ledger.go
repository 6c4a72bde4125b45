package imaptest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Ledger is what sessions were promised: the messages that were taken, the flags
// that were set and the messages that were removed, each with when it was asked for
// and when it was acknowledged. What was acknowledged must stay; what was asked for
// and not answered may have happened or not.
//
// A flag is written by one session only, so that its last value is known. A message
// that was marked as deleted may be expunged by anybody.
type Ledger struct {
	mu sync.Mutex
	// guards following
	tick    int64
	letters map[key]*letter
	numbers map[string]*numbers // by mailbox
	asked   int                 // promises asked for
	given   int                 // and acknowledged
}

type key struct {
	box string
	uid uint32
}

type letter struct {
	added bool // text is known
	text  string
	there history
	flags map[string]*history
}

// Promise is one value that was asked for.
type Promise struct {
	value        bool
	begun, acked int64 // ticks; acked 0: not, or not yet
}

type history []*Promise

// NewLedger returns an empty one.
func NewLedger() *Ledger {
	return &Ledger{letters: make(map[key]*letter), numbers: make(map[string]*numbers)}
}

// Now is the time in the ledger's own count.
func (l *Ledger) Now() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tick++
	return l.tick
}

// Counts returns how many promises were asked for and how many were given.
func (l *Ledger) Counts() (asked, given int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked, l.given
}

// Added says that a message was acknowledged with its UID, which must be a new one.
// Others may have seen it, and asked for something, before the one who added it
// comes to say so.
func (l *Ledger) Added(box string, uid uint32, text string, flags ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.letter(box, uid)
	if m.added {
		return violation("UID %d of %s was given twice", uid, box)
	}
	l.tick++
	l.asked++
	l.given++
	first := func(h *history) {
		*h = slices.Insert(*h, 0, &Promise{value: true, begun: l.tick, acked: l.tick})
	}
	m.added, m.text = true, text
	first(&m.there)
	for _, f := range flags {
		first(m.flag(f))
	}
	return nil
}

// Copied says that a copy was acknowledged, which may have been moved. Where others
// had asked for the message to go, as one that is marked as deleted, the copy may
// go too.
func (l *Ledger) Copied(box string, uid uint32, to string, copied uint32, moved bool) error {
	text, ok := l.Text(box, uid)
	if !ok {
		return nil
	}
	if err := l.Added(to, copied, text); err != nil {
		return err
	}
	l.mu.Lock()
	own := 1
	if moved {
		own = 2
	}
	asked := len(l.letter(box, uid).there) > own
	l.mu.Unlock()
	if asked {
		l.Gone(to, []uint32{copied})
	}
	return nil
}

func (l *Ledger) letter(box string, uid uint32) *letter {
	k := key{box, uid}
	m := l.letters[k]
	if m == nil {
		m = &letter{flags: make(map[string]*history)}
		l.letters[k] = m
	}
	return m
}

func (m *letter) flag(name string) *history {
	if m.flags[name] == nil {
		m.flags[name] = &history{}
	}
	return m.flags[name]
}

// Text is that of a message; false when it is not known.
func (l *Ledger) Text(box string, uid uint32) (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.letters[key{box, uid}]
	if m == nil || !m.added {
		return "", false
	}
	return m.text, true
}

// Flag says that a flag is asked to be set or removed. The caller tells with Given
// that it was acknowledged.
func (l *Ledger) Flag(box string, uids []uint32, flag string, value bool) (all []*Promise) {
	return l.ask(uids, box, value, func(m *letter) *history { return m.flag(flag) })
}

// Gone says that messages are asked to go, or that they may from now on.
func (l *Ledger) Gone(box string, uids []uint32) []*Promise {
	return l.ask(uids, box, false, func(m *letter) *history { return &m.there })
}

func (l *Ledger) ask(uids []uint32, box string, value bool, of func(*letter) *history) (all []*Promise) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tick++
	for _, uid := range uids {
		p := &Promise{value: value, begun: l.tick}
		h := of(l.letter(box, uid))
		*h = append(*h, p)
		all = append(all, p)
		l.asked++
	}
	return all
}

// Given says that promises were acknowledged.
func (l *Ledger) Given(all []*Promise) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tick++
	for _, p := range all {
		p.acked = l.tick
		l.given++
	}
}

// may reports whether the value is possible in a server that was stopped between two
// times.
func (h history) may(value bool, from, to int64) bool {
	first := 0
	for i, p := range h {
		if p.acked != 0 && p.acked <= from {
			first = i
		}
	}
	possible := len(h) == 0 || h[first].acked == 0 || h[first].acked > from // nothing is promised
	for i, p := range h {
		if i >= first && p.begun <= to && p.value == value {
			possible = true
		}
	}
	return possible
}

// Found is a message as it is in a mailbox now.
type Found struct {
	UID   uint32
	Flags map[string]bool
	Text  string // empty: not looked at
}

// Check compares a mailbox with what was promised in a server that ended between the
// times from and to: both Now when it has not ended.
func (l *Ledger) Check(box string, found []Found, from, to int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	there := make(map[uint32]Found)
	for _, f := range found {
		there[f.UID] = f
	}
	var wrong []string
	for k, m := range l.letters {
		if k.box != box {
			continue
		}
		f, ok := there[k.uid]
		if len(m.there) > 0 && m.there[0].acked > from && !ok {
			continue // acknowledged after the end of what is looked at
		}
		if !m.there.may(ok, from, to) {
			wrong = append(wrong, fmt.Sprintf("message %d is there: %v", k.uid, ok))
		}
		if !ok {
			continue
		}
		if m.added && f.Text != "" && f.Text != m.text {
			wrong = append(wrong, fmt.Sprintf("message %d has another text: %.100q, was %.100q", k.uid, f.Text, m.text))
		}
		for flag, h := range m.flags {
			if !h.may(f.Flags[flag], from, to) {
				wrong = append(wrong, fmt.Sprintf("message %d has %s: %v", k.uid, flag, f.Flags[flag]))
			}
		}
	}
	slices.Sort(wrong)
	if len(wrong) > 0 {
		return fmt.Errorf("%s: %d promises are broken:\n%s", box, len(wrong), strings.Join(wrong[:min(len(wrong), 20)], "\n"))
	}
	return nil
}
