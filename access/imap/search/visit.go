package search

import "postrider/delivery/mailbox"

// visitFound visits all messages of f with their rows, and with what else the index
// keeps of them when items is set. The candidates' places count them.
func visitFound(scope *Scope, f *Found, items bool, visit func(*candidate, *mailbox.Meta, *mailbox.Items) error) error {
	s := sweep{scope: scope, every: checkEvery, total: f.Count}
	if items {
		s.wanted = mailbox.WantItems
	}
	s.visit = func(c *candidate) error {
		if !items {
			return visit(c, &s.cursor.Meta, nil)
		}
		it, there, err := s.structure()
		if err != nil || !there {
			return err
		}
		return visit(c, &s.cursor.Meta, it)
	}
	list := make([]candidate, 0, min(block, f.Count))
	for _, span := range f.Spans {
		for from := span.From; from <= span.To; {
			n := min(uint32(cap(list)-len(list)), span.To-from+1)
			scope.View.Each(int(from), func(i int, e mailbox.Entry) bool {
				if uint32(i) >= from+n {
					return false
				}
				list = append(list, candidate{Entry: e, index: uint32(i), place: uint32(s.done), is: open})
				s.done++
				return true
			})
			from += n
			if len(list) < cap(list) {
				continue
			}
			if err := s.over(list); err != nil {
				return err
			}
			list = list[:0]
		}
	}
	return s.over(list)
}
