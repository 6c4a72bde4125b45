package mailbox_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
	"postrider/internal/mail"
)

// wanted is a message as it has to be.
type wanted struct {
	text  string
	flags mailbox.Flags // system flags
	words []string      // sorted
}

// wantedBox is a mailbox as it has to be.
type wantedBox struct {
	name     string
	id       uint32
	validity uint32
	next     uint32 // lower bound of UIDNEXT
	modSeq   uint64 // lower bound of HIGHESTMODSEQ
	messages map[uint32]*wanted
	notes    map[string]string // metadata
}

type wantedAccount struct {
	boxes         map[string]*wantedBox
	bytes, limits int64
}

// model runs a store and what it has to be side by side.
type model struct {
	t        *testing.T
	rng      *rand.Rand
	fs       *vfs.MemFS
	s        *mailbox.Store
	accounts map[string]*wantedAccount
	given    map[string]string // account, mailbox id, UID -> text: a UID is never given twice
	validity map[string]uint32 // account, name, UIDVALIDITY -> mailbox id
	keys     []mail.ID         // filed and not forgotten
	repeats  []repeat
	serial   int
}

// repeat is a delivery that may be told again.
type repeat struct {
	key           mail.ID
	account, name string
	id, uid       uint32
	text          string
}

// Covers HM3.
func TestModel(t *testing.T) {
	seeds := uint64(16)
	if mailbox.RaceEnabled {
		seeds = 4
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &model{
				t: t, rng: rand.New(rand.NewPCG(seed, 5)), fs: vfs.NewCrashableMem(),
				accounts: make(map[string]*wantedAccount), given: make(map[string]string), validity: make(map[string]uint32),
			}
			if err := m.fs.MkdirAll("store", 0o700); err != nil {
				t.Fatal(err)
			}
			m.open()
			for _, name := range []string{"a@example", "b@example", "c@example"} {
				account(t, m.s, name)
				m.accounts[name] = &wantedAccount{boxes: map[string]*wantedBox{"INBOX": {name: "INBOX", messages: map[uint32]*wanted{}}}}
			}
			for range 150 {
				m.step()
				if t.Failed() {
					return
				}
			}
			m.check()
			closeStore(t, m.s)
		})
	}
}

func (m *model) open() {
	o := small(m.fs)
	o.Vanished = 20
	m.s = open(m.t, o)
}

// pick returns one of the keys of a map, the same for the same seed.
func pick[V any](m *model, of map[string]V) string {
	var names []string
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	return names[m.rng.IntN(len(names))]
}

func (m *model) step() {
	switch n := m.rng.IntN(100); {
	case n < 35:
		m.deliver()
	case n < 50:
		m.flags()
	case n < 60:
		m.expunge()
	case n < 72:
		m.copy()
	case n < 77:
		m.create()
	case n < 81:
		m.rename()
	case n < 83:
		m.delete()
	case n < 84:
		m.note()
	case n < 87:
		m.quota()
	case n < 90:
		m.forget()
	case n < 95:
		m.again()
	case n < 98:
		m.crash()
	default:
		closeStore(m.t, m.s)
		m.open()
		m.check()
	}
}

func (m *model) box() (*mailbox.Account, *wantedAccount, *mailbox.Mailbox, *wantedBox) {
	name := pick(m, m.accounts)
	w := m.accounts[name]
	a := account(m.t, m.s, name)
	b := w.boxes[pick(m, w.boxes)]
	return a, w, box(m.t, a, b.name), b
}

// uidRange is a range that holds some of a mailbox's messages, perhaps.
func (m *model) uidRange(b *wantedBox) mailbox.Range {
	from := uint32(m.rng.IntN(int(b.next)+2)) + 1
	return mailbox.Range{From: from, To: from + uint32(m.rng.IntN(6))}
}

// in calls f for the messages in a range, in order.
func (b *wantedBox) in(r mailbox.Range, f func(uid uint32, w *wanted)) {
	for uid := r.From; uid <= r.To; uid++ {
		if w := b.messages[uid]; w != nil {
			f(uid, w)
		}
	}
}

func (m *model) body() string {
	m.serial++
	s := fmt.Sprintf("Subject: %d\r\n\r\n", m.serial)
	switch m.rng.IntN(10) {
	case 0:
		return s + strings.Repeat("large 0123456789\r\n", 5000)
	case 1:
		return s + strings.Repeat("x", m.rng.IntN(30_000))
	}
	return s + strings.Repeat("y", m.rng.IntN(300))
}

func (m *model) key() mail.ID {
	m.serial++
	return mail.MakeID(int64(m.serial), 1, m.rng.Uint32(), 1)
}

var words = []string{"$Junk", "$Done", "later", "work"}

func (m *model) deliver() {
	d := mailbox.Delivery{Key: m.key(), Text: text(m.body()), AllOrNothing: m.rng.IntN(4) == 0}
	var boxes []*wantedBox
	var accounts []*wantedAccount
	for i := range 1 + m.rng.IntN(3) {
		_, w, mb, b := m.box()
		if slices.Contains(boxes, b) {
			continue
		}
		g := mailbox.Target{Mailbox: mb, Recipient: i, Flags: mailbox.Flags(m.rng.IntN(32))}
		if m.rng.IntN(2) == 0 {
			g.Prefix = fmt.Appendf(nil, "Delivered-To: %d\r\n", m.rng.Uint32())
		}
		if m.rng.IntN(5) == 0 {
			g.Keywords = []string{words[m.rng.IntN(len(words))]}
		}
		d.Targets = append(d.Targets, g)
		boxes, accounts = append(boxes, b), append(accounts, w)
	}
	fits := 0
	ok := make([]bool, len(boxes))
	taken := make(map[*wantedAccount]int64)
	for i, w := range accounts {
		size := int64(len(d.Targets[i].Prefix)) + d.Text.Size()
		if ok[i] = w.limits == 0 || w.bytes+taken[w]+size <= w.limits; ok[i] {
			fits++
			taken[w] += size
		}
		if d.AllOrNothing && !ok[i] {
			fits = 0
			break
		}
	}
	err := m.s.Deliver(m.t.Context(), &d)
	if (err == nil) != (fits > 0) {
		m.t.Fatalf("%d of %d targets fit: %v", fits, len(boxes), err)
	}
	if fits == 0 {
		return
	}
	m.keys = append(m.keys, d.Key)
	for i, b := range boxes {
		g := &d.Targets[i]
		if (g.Err == nil) != ok[i] {
			m.t.Fatalf("target %d: %v, want it filed: %v", i, g.Err, ok[i])
		}
		if ok[i] {
			body := string(g.Prefix) + string(d.Text.Bytes())
			m.filed(accounts[i], b, g.UID, &wanted{body, g.Flags, slices.Clone(g.Keywords)})
			if g.Recipient == 0 && len(g.Prefix) == 0 {
				m.repeats = append(m.repeats, repeat{d.Key, g.Mailbox.Account().Name(), b.name, b.id, g.UID, body})
			}
		}
	}
}

// filed notes a message, and that its UID is new.
func (m *model) filed(a *wantedAccount, b *wantedBox, uid uint32, w *wanted) {
	if uid < b.next || uid == 0 {
		m.t.Fatalf("UID %d after UIDNEXT %d", uid, b.next)
	}
	b.next = uid + 1
	b.messages[uid] = w
	a.bytes += int64(len(w.text))
}
