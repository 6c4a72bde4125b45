package mailbox_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
	"postrider/internal/mail"
)

func (m *model) copy() {
	a, w, mb, b := m.box()
	to := w.boxes[pick(m, w.boxes)]
	r := m.uidRange(b)
	move := m.rng.IntN(2) == 0
	var size int64
	b.in(r, func(_ uint32, msg *wanted) { size += int64(len(msg.text)) })
	f := mb.Copy
	if move {
		f = mb.Move
	}
	pairs, err := f(m.t.Context(), []mailbox.Range{r}, box(m.t, a, to.name))
	if !move && w.limits > 0 && w.bytes+size > w.limits {
		if size > 0 && !errors.Is(err, mailbox.ErrQuota) {
			m.t.Fatalf("copied beyond the quota: %v", err)
		}
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	i := 0
	b.in(r, func(uid uint32, msg *wanted) {
		if i >= len(pairs) || pairs[i].From != uid {
			m.t.Fatalf("copies %v of %v", pairs, r)
		}
		i++
	})
	if i != len(pairs) {
		m.t.Fatalf("copies %v of %v", pairs, r)
	}
	for _, p := range pairs {
		msg := *b.messages[p.From]
		msg.words = slices.Clone(msg.words)
		if move {
			w.bytes -= int64(len(msg.text))
			delete(b.messages, p.From)
		}
		m.filed(w, to, p.To, &msg)
	}
}

var boxNames = []string{"Work", "Work/a", "Work/a/b", "Play", "Play/a", "Old"}

func (m *model) create() {
	a, w, _, _ := m.box()
	name := boxNames[m.rng.IntN(len(boxNames))]
	_, err := a.Create(m.t.Context(), name, mailbox.UseArchive)
	if w.boxes[name] != nil {
		if !errors.Is(err, mailbox.ErrExists) {
			m.t.Fatalf("made %q twice: %v", name, err)
		}
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	w.boxes[name] = &wantedBox{name: name, messages: map[uint32]*wanted{}}
}

func (m *model) rename() {
	a, w, _, b := m.box()
	to := boxNames[m.rng.IntN(len(boxNames))]
	moves := make(map[string]string)
	ok := !strings.HasPrefix(to, b.name+"/")
	for name := range w.boxes {
		if name == b.name || b.name != "INBOX" && strings.HasPrefix(name, b.name+"/") {
			moves[name] = to + name[len(b.name):]
			ok = ok && w.boxes[moves[name]] == nil
		}
	}
	ok = ok && w.boxes[to] == nil
	if err := a.Rename(m.t.Context(), b.name, to); (err == nil) != ok {
		m.t.Fatalf("rename %q to %q: %v, want it done: %v", b.name, to, err, ok)
	}
	if !ok {
		return
	}
	old := maps.Clone(w.boxes)
	for name := range moves {
		delete(w.boxes, name)
	}
	for from, to := range moves {
		old[from].name = to
		old[from].validity = 0 // may change
		w.boxes[to] = old[from]
	}
	if b.name != "INBOX" && w.boxes["INBOX"] == nil {
		w.boxes["INBOX"] = &wantedBox{name: "INBOX", messages: map[uint32]*wanted{}}
	}
}

func (m *model) delete() {
	a, w, _, b := m.box()
	err := a.Delete(m.t.Context(), b.name)
	if b.name == "INBOX" {
		if !errors.Is(err, mailbox.ErrInbox) {
			m.t.Fatal(err)
		}
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	for _, msg := range b.messages {
		w.bytes -= int64(len(msg.text))
	}
	delete(w.boxes, b.name)
}

func (m *model) quota() {
	a, w, _, _ := m.box()
	w.limits = int64(m.rng.IntN(3)) * (w.bytes + int64(m.rng.IntN(2000)))
	if err := a.SetQuota(m.t.Context(), w.limits, 0); err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) forget() {
	if len(m.keys) == 0 {
		return
	}
	i := m.rng.IntN(len(m.keys))
	key := m.keys[i]
	m.s.Forget(key)
	m.keys = slices.Delete(m.keys, i, i+1)
	m.repeats = slices.DeleteFunc(m.repeats, func(r repeat) bool { return r.key == key })
}

// again repeats a delivery: it must come out as the first time.
func (m *model) again() {
	if len(m.repeats) == 0 {
		return
	}
	r := m.repeats[m.rng.IntN(len(m.repeats))]
	a := account(m.t, m.s, r.account)
	for _, b := range m.accounts[r.account].boxes {
		if b.id == 0 || b.id != r.id {
			continue
		}
		d := mailbox.Delivery{Key: r.key, Text: text(r.text), Targets: []mailbox.Target{{Mailbox: box(m.t, a, b.name)}}}
		err := m.s.Deliver(m.t.Context(), &d)
		if g := d.Targets[0]; err != nil || g.UID != r.uid || !g.Repeat {
			m.t.Fatalf("repeat of UID %d: %+v, %v", r.uid, g, err)
		}
	}
}

// crash cuts the power while deliveries are under way, and repeats those that were
// not acknowledged.
func (m *model) crash() {
	const n = 12
	var mu sync.Mutex // held while a delivery notes that it has returned
	var acked [n]bool
	var ds [n]mailbox.Delivery
	var boxes [n]*wantedBox
	var accounts [n]*wantedAccount
	for i := range ds {
		_, w, mb, b := m.box()
		if w.limits != 0 {
			continue
		}
		boxes[i], accounts[i] = b, w
		ds[i] = mailbox.Delivery{Key: m.key(), Text: text(m.body()), Targets: []mailbox.Target{{Mailbox: mb}}}
	}
	var wg sync.WaitGroup
	var returned atomic.Int32
	started := make(chan struct{}, n)
	for i := range ds {
		if boxes[i] == nil {
			continue
		}
		wg.Go(func() {
			started <- struct{}{}
			err := m.s.Deliver(m.t.Context(), &ds[i])
			mu.Lock()
			defer mu.Unlock()
			acked[i] = err == nil
			returned.Add(1)
		})
	}
	for range m.rng.IntN(n) {
		select {
		case <-started:
		default:
		}
	}
	mu.Lock() // what is acknowledged now has to survive
	survive := acked
	clone := m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: m.rng.IntN(101), RNG: m.rng})
	mu.Unlock()
	wg.Wait()
	closeStore(m.t, m.s)
	m.fs = clone
	m.open()
	for i := range ds {
		if boxes[i] == nil {
			continue
		}
		first := ds[i].Targets[0].UID
		d := mailbox.Delivery{Key: ds[i].Key, Text: ds[i].Text, Targets: []mailbox.Target{
			{Mailbox: box(m.t, account(m.t, m.s, ds[i].Targets[0].Mailbox.Account().Name()), boxes[i].name)},
		}}
		if err := m.s.Deliver(m.t.Context(), &d); err != nil {
			m.t.Fatal(err)
		}
		g := d.Targets[0]
		if survive[i] && (!g.Repeat || g.UID != first) {
			m.t.Fatalf("delivery %d was acknowledged with UID %d and lost: %+v", i, first, g)
		}
		b := boxes[i]
		if b.messages[g.UID] != nil {
			m.t.Fatalf("UID %d was given twice", g.UID)
		}
		b.messages[g.UID] = &wanted{text: string(ds[i].Text.Bytes())}
		accounts[i].bytes += ds[i].Text.Size()
		b.next = max(b.next, g.UID+1)
		m.keys = append(m.keys, d.Key)
	}
	m.check()
}

// check compares everything.
func (m *model) check() {
	t := m.t
	for name, w := range m.accounts {
		a := account(t, m.s, name)
		infos := a.Mailboxes(nil)
		if len(infos) != len(w.boxes) {
			t.Fatalf("%s has mailboxes %v, want %d", name, infos, len(w.boxes))
		}
		for _, info := range infos {
			b := w.boxes[info.Name]
			if b == nil {
				t.Fatalf("%s has %q", name, info.Name)
			}
			m.checkBox(name, box(t, a, info.Name), b)
		}
		if q := a.Quota(); q.UsedBytes != w.bytes || q.LimitBytes != w.limits {
			t.Fatalf("%s uses %+v, want %d of %d", name, q, w.bytes, w.limits)
		}
	}
	for !m.s.Reaped() { // any change lets the applier go on
		m.s.Forget(mail.ID{1})
	}
	if err := m.s.Recount(); err != nil {
		t.Fatal(err)
	}
}

func (m *model) checkBox(name string, mb *mailbox.Mailbox, b *wantedBox) {
	t := m.t
	st := mb.Status()
	if b.id != 0 && b.id != mb.ID() || b.validity != 0 && b.validity != st.UIDValidity || st.UIDNext < b.next || st.HighestModSeq < b.modSeq {
		t.Fatalf("%s %q: %+v id %d, want %+v", name, b.name, st, mb.ID(), b)
	}
	b.id, b.validity, b.next, b.modSeq = mb.ID(), st.UIDValidity, st.UIDNext, st.HighestModSeq
	pair := fmt.Sprint(name, b.name, st.UIDValidity)
	if id, ok := m.validity[pair]; ok && id != b.id {
		t.Fatalf("%s %q: UIDVALIDITY %d was another mailbox's", name, b.name, st.UIDValidity)
	}
	m.validity[pair] = b.id
	v, err := mb.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if v.Len() != len(b.messages) || st.Messages != v.Len() {
		t.Fatalf("%s %q: %d messages, status %d, want %d", name, b.name, v.Len(), st.Messages, len(b.messages))
	}
	names := mb.Keywords(nil)
	for i := range v.Len() {
		e := v.At(i)
		w := b.messages[e.UID]
		if w == nil {
			t.Fatalf("%s %q: UID %d", name, b.name, e.UID)
		}
		var got []string
		for k, word := range names {
			if e.Flags&(1<<(mailbox.FirstKeyword+k)) != 0 {
				got = append(got, word)
			}
		}
		slices.Sort(got)
		if e.Flags&mailbox.SystemFlags != w.flags || !slices.Equal(got, w.words) || e.ModSeq > st.HighestModSeq {
			t.Fatalf("%s %q: %+v %v, want %+v", name, b.name, e, got, w)
		}
		given := fmt.Sprint(name, b.id, e.UID)
		body := content(t, mb, e.UID)
		if was, ok := m.given[given]; body != w.text || ok && was != body {
			t.Fatalf("%s %q: UID %d has another text", name, b.name, e.UID)
		}
		m.given[given] = body
	}
}
