package mailbox_test

import (
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
	"postrider/internal/mail"
)

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
	returned := make(chan struct{}, n)
	under := 0
	for i := range ds {
		if boxes[i] == nil {
			continue
		}
		under++
		wg.Go(func() {
			err := m.s.Deliver(m.t.Context(), &ds[i])
			mu.Lock()
			defer mu.Unlock()
			acked[i] = err == nil
			returned <- struct{}{}
		})
	}
	for range m.rng.IntN(under + 1) { // the others are somewhere on their way
		<-returned
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
	m.checkNotes(mb, b)
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
