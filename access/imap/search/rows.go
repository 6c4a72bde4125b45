package search

import "postrider/delivery/mailbox"

// sweep goes through candidates and the rows of the index together.
type sweep struct {
	scope  *Scope
	items  bool // the headers are needed as well
	prefix bool // with what stands before the text for one recipient
	// visit is called for each candidate that is open, with its row; items is nil unless
	// they were asked for. Both are valid during the call.
	visit func(c *candidate, m *mailbox.Meta, it *mailbox.Items) error

	rest        []candidate
	looked      int
	done, total int // for Check
	failed      error
}

// over visits the candidates, which ascend. What is gone meanwhile is not visited and
// never holds.
func (s *sweep) over(block []candidate) error {
	for at := 0; at < len(block); {
		if block[at].is != open {
			at++
			continue
		}
		last := at // of a run of candidates near each other
		for i := at + 1; i < len(block) && block[i].index-block[last].index <= maxGap; i++ {
			if block[i].is == open {
				last = i
			}
		}
		if err := s.run(block[at : last+1]); err != nil {
			return err
		}
		at = last + 1
	}
	return nil
}

// run visits candidates without many others between them.
func (s *sweep) run(piece []candidate) error {
	s.rest = piece
	from, to := piece[0].UID, piece[len(piece)-1].UID
	var err error
	if s.items {
		err = s.scope.View.ScanItems(from, to, s.prefix, s.row)
	} else {
		err = s.scope.View.Scan(from, to, func(m *mailbox.Meta) bool { return s.row(m, nil) })
	}
	s.skip(1<<32 - 1)
	if s.failed != nil {
		return s.failed
	}
	return err
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

// row takes a row of the index.
func (s *sweep) row(m *mailbox.Meta, it *mailbox.Items) bool {
	s.skip(m.UID)
	if len(s.rest) == 0 || s.rest[0].UID != m.UID {
		return true
	}
	c := &s.rest[0]
	s.rest = s.rest[1:]
	if c.is != open {
		return true
	}
	s.failed = s.visit(c, m, it)
	if s.looked++; s.failed == nil && s.looked%checkEvery == 0 {
		s.failed = s.scope.check(s.done, s.total)
	}
	return s.failed == nil
}
