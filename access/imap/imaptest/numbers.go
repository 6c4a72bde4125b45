package imaptest

// numbers are what sessions were told of a mailbox as a whole.
type numbers struct {
	validity uint32
	told     []toldModSeq // rising
}

type toldModSeq struct {
	modSeq uint64
	tick   int64
}

// Told takes note of the numbers that a session was told of its selected mailbox.
func (l *Ledger) Told(s *Selected) error {
	highest := s.HighestModSeq
	for i := range s.Messages {
		highest = max(highest, s.Messages[i].ModSeq)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.numbers[s.Name]
	if n == nil {
		n = &numbers{validity: s.UIDValidity}
		l.numbers[s.Name] = n
	}
	if n.validity != s.UIDValidity {
		return violation("%s: UIDVALIDITY %d after %d", s.Name, s.UIDValidity, n.validity)
	}
	if last := len(n.told) - 1; last < 0 || highest > n.told[last].modSeq {
		l.tick++
		n.told = append(n.told, toldModSeq{highest, l.tick})
	}
	return nil
}

// CheckNumbers compares a mailbox that is selected, in a server that ended not before
// the time from, with what was told: nothing goes back.
func (l *Ledger) CheckNumbers(s *Selected, from int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.numbers[s.Name]; n != nil {
		if n.validity != s.UIDValidity {
			return violation("%s: UIDVALIDITY %d, was %d", s.Name, s.UIDValidity, n.validity)
		}
		for _, t := range n.told {
			if t.tick <= from && t.modSeq > s.HighestModSeq {
				return violation("%s: HIGHESTMODSEQ %d, told was %d", s.Name, s.HighestModSeq, t.modSeq)
			}
		}
	}
	for k, m := range l.letters {
		if k.box == s.Name && m.added && m.there[0].acked <= from && k.uid >= s.UIDNext {
			return violation("%s: UIDNEXT %d, UID %d was given", s.Name, s.UIDNext, k.uid)
		}
	}
	return nil
}
