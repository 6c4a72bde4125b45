package mailbox_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"postrider/delivery/mailbox"
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

// note changes metadata of a mailbox.
func (m *model) note() {
	_, _, mb, b := m.box()
	var changes []mailbox.Metadata
	for i := range 1 + m.rng.IntN(3) {
		name := fmt.Sprint("/private/", i)
		if b.notes == nil {
			b.notes = make(map[string]string)
		}
		if m.rng.IntN(3) == 0 {
			delete(b.notes, name)
			changes = append(changes, mailbox.Metadata{Name: name})
			continue
		}
		b.notes[name] = fmt.Sprint(m.rng.IntN(3))
		changes = append(changes, mailbox.Metadata{Name: name, Value: []byte(b.notes[name])})
	}
	if err := mb.SetMetadata(m.t.Context(), changes); err != nil {
		m.t.Fatal(err)
	}
}

// checkNotes compares metadata.
func (m *model) checkNotes(mb *mailbox.Mailbox, b *wantedBox) {
	list, err := mb.Metadata(nil)
	if err != nil {
		m.t.Fatal(err)
	}
	n := 0
	for _, note := range list {
		if note.Value != nil {
			n++
			if string(note.Value) != b.notes[note.Name] {
				n = -1
				break
			}
		}
	}
	if n != len(b.notes) {
		m.t.Fatalf("%q: metadata %v, want %q", b.name, list, b.notes)
	}
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

func (m *model) flags() {
	_, _, mb, b := m.box()
	r := m.uidRange(b)
	c := mailbox.FlagChange{Mode: mailbox.ChangeMode(m.rng.IntN(3)), Flags: mailbox.Flags(m.rng.IntN(32))}
	if m.rng.IntN(2) == 0 {
		c.Keywords = []string{words[m.rng.IntN(len(words))]}
	}
	if m.rng.IntN(4) == 0 {
		c.Conditional, c.UnchangedSince = true, b.modSeq
	}
	res, err := mb.Flags(m.t.Context(), []mailbox.Range{r}, &c)
	if err != nil {
		m.t.Fatal(err)
	}
	if res.Changed > 0 && res.ModSeq <= b.modSeq {
		m.t.Fatalf("mod-sequence %d after %d", res.ModSeq, b.modSeq)
	}
	b.in(r, func(uid uint32, w *wanted) {
		if slices.ContainsFunc(res.Modified, func(r mailbox.Range) bool { return r.From <= uid && uid <= r.To }) {
			return
		}
		switch c.Mode {
		case mailbox.AddFlags:
			w.flags |= c.Flags
			w.words = append(w.words, c.Keywords...)
		case mailbox.RemoveFlags:
			w.flags &^= c.Flags
			w.words = slices.DeleteFunc(slices.Clone(w.words), func(s string) bool { return slices.Contains(c.Keywords, s) })
		case mailbox.SetFlags:
			w.flags, w.words = c.Flags, slices.Clone(c.Keywords)
		}
		slices.Sort(w.words)
		w.words = slices.Compact(w.words)
	})
}

func (m *model) expunge() {
	_, a, mb, b := m.box()
	r := m.uidRange(b)
	only := mailbox.Flags(m.rng.IntN(2)) * mailbox.FlagDeleted
	want := 0
	b.in(r, func(uid uint32, w *wanted) {
		if w.flags&only == only {
			want++
			a.bytes -= int64(len(w.text))
			delete(b.messages, uid)
		}
	})
	if n, err := mb.Expunge(m.t.Context(), []mailbox.Range{r}, only); n != want || err != nil {
		m.t.Fatalf("expunged %d of %d: %v", n, want, err)
	}
}
