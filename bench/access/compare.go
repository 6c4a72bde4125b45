package access

// report counts a violation.
type report func(format string, args ...any)

// compare holds a listing of the whole mailbox against the model and makes the
// model follow it.
func (m *mailbox) compare(list []item, bad report) {
	out, fresh, at := m.spare[:0], 0, 0
	for _, it := range list {
		switch i := m.find(it.key, at); {
		case i >= 0:
			if i < at && !m.mails[i].unsure {
				bad("message %d stands where it did not", m.mails[i].number)
			}
			at = i + 1
			x := m.mails[i]
			x.unsure = false
			m.mails[i].key, m.mails[i].unsure = taken, false
			x.meet(it, bad)
			out = append(out, x)
		case m.cameBack(it.key):
			bad("a message with key %d, which was deleted, is there again", it.key)
			out = append(out, mail{key: it.key, size: it.size, flags: it.flags, known: it.said})
		default:
			fresh++
			out = append(out, mail{key: it.key, size: it.size, flags: it.flags, known: it.said, unsure: true})
		}
	}
	m.missing(bad)
	m.place(out, fresh, bad)
	m.spare, m.mails = m.mails[:0], out
	m.adopt = false
}

// taken marks a message of the model that was found in a listing.
const taken = 1<<64 - 1

func (m *mailbox) cameBack(key uint64) bool {
	_, back := m.gone[key]
	delete(m.gone, key)
	return back
}

// missing reports what had been listed and is not there any more.
func (m *mailbox) missing(bad report) {
	for i := range m.mails {
		x := &m.mails[i]
		if x.key == taken || x.key == 0 {
			continue
		}
		if !x.unsure {
			bad("message %d with key %d is lost", x.number, x.key)
		}
		m.gone[x.key] = struct{}{}
	}
}

// place gives the keys that were seen for the first time (those marked unsure in
// out) to the messages that had none.
func (m *mailbox) place(out []mail, fresh int, bad report) {
	var waiting []mail
	unsure := 0
	for _, x := range m.mails {
		if x.key == 0 {
			waiting = append(waiting, x)
			if x.unsure {
				unsure++
			}
		}
	}
	foreign := max(0, fresh-len(waiting))
	if lost := len(waiting) - unsure - fresh; lost > 0 {
		bad("%d of %d delivered messages are not there", lost, len(waiting))
	}
	if foreign > 0 && !m.adopt {
		bad("%d messages are there that nobody delivered", foreign)
	}
	exact := fresh-foreign == len(waiting) // else nobody knows which is which
	for i, j := 0, 0; i < len(out); i++ {
		if !out[i].unsure {
			continue
		}
		out[i].unsure = false
		if j >= foreign && exact {
			w := waiting[j-foreign]
			out[i].number = w.number
			if out[i].known && out[i].flags != w.flags {
				bad("new message %d has flags %s", w.number, flagNames(out[i].flags))
			}
		}
		j++
	}
}

// meet holds one line of a listing against a message.
func (x *mail) meet(it item, bad report) {
	if it.size != 0 {
		if x.size != 0 && x.size != it.size {
			bad("message %d has %d octets, had %d", x.number, it.size, x.size)
		}
		x.size = it.size
	}
	if it.said {
		if x.known && x.flags != it.flags {
			bad("message %d has flags %s, not %s", x.number, flagNames(it.flags), flagNames(x.flags))
		}
		x.flags, x.known = it.flags, true
	}
}

// examine holds a text against message i.
func (m *mailbox) examine(i int, e *examined, seed uint64, bad report) {
	x := &m.mails[i]
	switch {
	case x.size != 0 && e.octets != x.size:
		bad("the text of message %d has %d octets, its size is %d", x.number, e.octets, x.size)
	case e.found && !e.whole():
		bad("the text of message %d is damaged", x.number)
	case x.number == 0 && e.found && e.seed == seed && e.mailbox == m.number && e.number <= m.last:
		x.number = e.number // of ours, found again
	case x.number != 0 && !e.found:
		bad("the text of message %d has lost its header", x.number)
	case x.number != 0 && (e.seed != seed || e.mailbox != m.number || e.number != x.number):
		bad("the text is that of message %d of mailbox %d, not of message %d", e.number, e.mailbox, x.number)
	}
	x.size, x.read = e.octets, true
}

// identify holds UIDVALIDITY and UIDNEXT against the model.
func (m *mailbox) identify(validity, next uint64, bad report) {
	if validity == 0 || next == 0 {
		bad("UIDVALIDITY or UIDNEXT is not told")
		return
	}
	if m.uidValidity != 0 && m.uidValidity != validity {
		bad("UIDVALIDITY is %d, was %d", validity, m.uidValidity)
		m.forget()
	}
	m.uidValidity = validity
	if m.uidNext != 0 && next < m.uidNext+m.unlisted() {
		bad("UIDNEXT is %d, must be at least %d", next, m.uidNext+m.unlisted())
	}
}
