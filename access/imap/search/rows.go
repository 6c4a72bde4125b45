package search

import (
	"errors"

	"postrider/delivery/mailbox"
)

// sweep goes through candidates and what the index has of them together.
type sweep struct {
	scope  *Scope
	wanted mailbox.Wanted
	// visit is called for each candidate that is open, with the cursor at it.
	visit func(c *candidate) error

	cursor      mailbox.Cursor
	every       int // messages between two checks
	looked      int
	done, total int // for Check
}

// over visits the candidates, which ascend. What is gone meanwhile is not visited and
// never holds.
func (s *sweep) over(block []candidate) (err error) {
	if err := s.scope.View.Cursor(&s.cursor, s.wanted|mailbox.WantLater); err != nil {
		return err
	}
	// It is closed after each block: an old one keeps files of the index from going.
	defer func() { err = errors.Join(err, s.cursor.Close()) }()
	for i := range block {
		c := &block[i]
		if c.is != open {
			continue
		}
		there, err := s.cursor.Move(c.UID)
		if err != nil {
			return err
		}
		if !there {
			c.is = never
			continue
		}
		if err := s.visit(c); err != nil {
			return err
		}
		if s.looked++; s.looked%s.every == 0 {
			if err := s.scope.check(s.done, s.total); err != nil {
				return err
			}
		}
	}
	return nil
}

// header reads the header of the message that the cursor is at; structure what else
// the index keeps of it. They report false when the text has gone meanwhile.
func (s *sweep) header() (*mailbox.Items, bool, error) {
	there, err := s.cursor.Header()
	return &s.cursor.Items, there, err
}

func (s *sweep) structure() (*mailbox.Items, bool, error) {
	it, there, err := s.header()
	if there && err == nil {
		there, err = s.cursor.Structure()
	}
	return it, there, err
}
