package mailbox

// View is a session's picture of a mailbox: it changes by Refresh only.
type View struct {
	m      *Mailbox
	snap   *snapshot // what the session sees
	latest *snapshot // what snap was made of; another one when entries are kept
	closed bool
}

// View opens the mailbox. Close gives it back.
func (m *Mailbox) View() (*View, error) {
	s := m.a.s
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.leave()
	a := m.a
	a.mu.Lock()
	for m.loading {
		wait := m.loaded
		a.mu.Unlock()
		<-wait
		a.mu.Lock()
	}
	if m.deleted {
		a.mu.Unlock()
		return nil, ErrNoMailbox
	}
	if m.list != nil {
		v := m.viewLocked()
		a.mu.Unlock()
		return v, nil
	}
	m.loading, m.loaded = true, make(chan struct{})
	n, uidNext := m.status.Messages, m.status.UIDNext
	a.mu.Unlock()

	list, err := m.readList(n, uidNext)

	a.mu.Lock()
	defer a.mu.Unlock()
	m.loading = false
	close(m.loaded)
	early := m.early
	m.early = nil
	if err != nil {
		return nil, err
	}
	if len(early) > 0 { // what happened meanwhile; the list may know it
		list = list.apply(early)
	}
	m.list = list
	return m.viewLocked(), nil
}

func (m *Mailbox) viewLocked() *View {
	m.views++
	return &View{m: m, snap: m.list, latest: m.list}
}

// takeEventsLocked brings what the applier has done into the array.
func (m *Mailbox) takeEventsLocked(events []event) {
	switch {
	case len(events) == 0:
	case m.loading:
		m.early = append(m.early, events...)
	case m.list != nil:
		m.list = m.list.apply(events)
	}
}

// Close gives the view back. The array goes with the last view of the mailbox, or when
// there is no more room for it.
func (v *View) Close() {
	if v.closed {
		return
	}
	v.closed = true
	v.snap, v.latest = &snapshot{}, nil
	last, n := v.m.leaveView()
	if !last {
		return
	}
	kept, evicted := v.m.a.s.shelf.keep(v.m, n)
	if !kept {
		v.m.dropList()
	}
	for _, m := range evicted {
		m.dropList()
	}
}

// leaveView takes a view off, and tells of the last one how many messages there are.
func (m *Mailbox) leaveView() (last bool, n int) {
	m.a.mu.Lock()
	defer m.a.mu.Unlock()
	if m.views--; m.views > 0 {
		return false, 0
	}
	if m.deleted {
		return true, 0
	}
	return true, m.list.len()
}

// Mailbox is the mailbox that v shows.
func (v *View) Mailbox() *Mailbox { return v.m }

// Len is the number of messages.
func (v *View) Len() int { return v.snap.len() }

// At returns the message at index i, which is its sequence number less one.
func (v *View) At(i int) Entry { return v.snap.at(i) }

// More returns the keywords of a message that Flags has no room for: bit i stands
// for Mailbox.Keywords()[WordKeywords+i].
func (v *View) More(uid uint32) uint64 { return v.snap.more[uid] }

// Find returns the index of the first message whose UID is at least uid, and
// whether that is uid.
func (v *View) Find(uid uint32) (int, bool) { return v.snap.find(uid) }

// Each calls f for the messages from index i on, until f returns false.
func (v *View) Each(i int, f func(i int, e Entry) bool) {
	s := v.snap
	if i < 0 || i >= s.len() {
		return
	}
	k, at := s.locate(s.at(i).UID)
	for ; k <= len(s.spans); k, at = k+1, 0 {
		for _, e := range s.piece(k)[at:] {
			if !f(i, e) {
				return
			}
			i++
		}
	}
}

// EachSince calls f for the messages from index from on, before index to, whose
// mod-sequence is above modSeq, until f returns false. Those that are not cost some
// nanoseconds each.
func (v *View) EachSince(from, to int, modSeq uint64, f func(i int, e Entry) bool) {
	s := v.snap
	if to = min(to, s.len()); from < 0 || from >= to {
		return
	}
	k, at := s.locate(s.at(from).UID)
	for i := from; i < to; k, at = k+1, 0 {
		p := s.piece(k)[at:]
		for j := range p[:min(len(p), to-i)] {
			if p[j].ModSeq > modSeq && !f(i+j, p[j]) {
				return
			}
		}
		i += len(p)
	}
}

// now returns the newest array.
func (v *View) now() *snapshot {
	a := v.m.a
	a.mu.Lock()
	defer a.mu.Unlock()
	if v.closed {
		return v.latest
	}
	return v.m.list
}

// Fresh reports that Refresh would bring in nothing.
func (v *View) Fresh() bool { return v.closed || v.now() == v.latest && v.snap == v.latest }

// Refresh brings in what has happened since, and tells f, which may be nil, of it.
// With keep, messages that are gone stay in the view until a Refresh without.
func (v *View) Refresh(keep bool, f func(Change)) {
	now := v.now()
	if v.closed || now == v.snap {
		return
	}
	keep = keep && anyGone(v.snap, now)
	d := differ{old: v.snap, new: now, keep: keep, f: f}
	d.run()
	v.latest, v.snap = now, now
	if keep {
		v.snap = d.out
	}
}
