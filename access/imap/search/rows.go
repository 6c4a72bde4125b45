package search

import "postrider/delivery/mailbox"

// decideRows decides what the index can of the block: by its rows, and if need be
// by the headers.
func (r *run) decideRows() error {
	dear := r.nodes[0].dear
	for at := 0; at < len(r.block); {
		if r.block[at].is != open {
			at++
			continue
		}
		end := at + 1 // of a run of candidates near each other
		last := at
		for ; end < len(r.block) && r.block[end].index-r.block[last].index <= maxGap; end++ {
			if r.block[end].is == open {
				last = end
			}
		}
		if err := r.decideRun(at, last+1, dear); err != nil {
			return err
		}
		at = last + 1
	}
	return nil
}

// decideRun is decideRows for a piece of the block.
func (r *run) decideRun(at, end int, dear uint8) error {
	s := sweep{run: r, rest: r.block[at:end]}
	from, to := r.block[at].UID, r.block[end-1].UID
	var err error
	if dear == costRow {
		err = r.view.Scan(from, to, s.row)
	} else {
		err = r.view.ScanItems(from, to, r.prefixed(), s.items)
	}
	s.skip(1<<32 - 1)
	if err == nil {
		err = s.failed
	}
	return err
}

// sweep goes through rows of the index and candidates together.
type sweep struct {
	*run
	rest   []candidate
	looked int
	failed error
}

// skip passes the candidates before uid: those that are open are gone meanwhile.
func (s *sweep) skip(uid uint32) {
	for len(s.rest) > 0 && s.rest[0].UID < uid {
		if s.rest[0].is == open {
			s.rest[0].is = never
		}
		s.rest = s.rest[1:]
	}
}

// next returns the candidate of a row, or nil when there is none that is open.
func (s *sweep) next(m *mailbox.Meta) *candidate {
	s.skip(m.UID)
	if len(s.rest) == 0 || s.rest[0].UID != m.UID {
		return nil
	}
	c := &s.rest[0]
	s.rest = s.rest[1:]
	if c.is != open {
		return nil
	}
	return c
}

func (s *sweep) row(m *mailbox.Meta) bool {
	if c := s.next(m); c != nil {
		s.look(c, m, nil)
		c.is = s.eval(0, costRow)
	}
	return s.goOn()
}

func (s *sweep) items(m *mailbox.Meta, it *mailbox.Items) bool {
	if c := s.next(m); c != nil {
		s.look(c, m, it)
		c.is = s.eval(0, costItems)
		if c.is == open {
			s.failed = s.readText()
			c.is = s.eval(0, costText)
		}
	}
	return s.goOn()
}

// goOn asks now and then whether to go on.
func (s *sweep) goOn() bool {
	if s.looked++; s.failed == nil && s.looked%checkEvery == 0 {
		s.failed = s.scope.check(s.done, s.total)
	}
	return s.failed == nil
}
