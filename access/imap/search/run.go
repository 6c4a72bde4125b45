package search

import (
	"slices"
	"time"

	"postrider/delivery/mailbox"
)

// Scope is what a program is run over.
type Scope struct {
	View   *mailbox.View
	Recent []mailbox.Range // UIDs that are recent in this session, ascending
	Saved  []mailbox.Range // UIDs that "$" stands for, ascending
	Now    time.Time
	// Check, when not nil, is called every few milliseconds of work with how many
	// messages of how many have been looked at. An error stops the work and is
	// returned.
	Check func(done, total int) error
}

func (s *Scope) check(done, total int) error {
	if s.Check == nil {
		return nil
	}
	return s.Check(done, total)
}

// Bound says when a Run has found enough.
type Bound struct {
	Limit int  // messages; 0: all
	Last  bool // looks from the end
}

// Sizes of a block: the first is small, since a client often asks for the first
// match only.
const (
	firstBlock = 256
	block      = 4096
	checkEvery = 256 // messages that were looked for in the index
)

// verdict is what is known of a message.
type verdict uint8

const (
	never verdict = iota
	holds
	open // to be decided at a higher cost
)

// candidate is a message of a block that is not out.
type candidate struct {
	mailbox.Entry
	index uint32 // in the view
	place uint32 // among those that are sorted
	is    verdict
}

// run is a program being run.
type run struct {
	*Program
	scope *Scope
	view  *mailbox.View
	bound Bound
	out   *Found
	block []candidate

	// The message that is looked at.
	entry mailbox.Entry
	index uint32
	meta  *mailbox.Meta
	items *mailbox.Items
	said  uint64 // bit i: Program.texts[i] is in its text

	done, total int
	mask, want  mailbox.Flags // what every match has in Flags
	exact       bool          // and there is no more to it
	sweep       sweep
	words       headerText
	folded      []byte
	text        textReader
}

// Run finds the messages that p is true of.
func (p *Program) Run(scope *Scope, bound Bound, out *Found) error {
	out.Reset()
	r := run{Program: p, scope: scope, view: scope.View, bound: bound, out: out}
	p.bind(scope)
	r.mask, r.want, r.exact = p.required()
	r.sweep = sweep{scope: scope, wanted: p.wanted(), visit: r.visit, every: max(1, checkEvery/len(p.nodes)), total: scope.View.Len()}
	r.total = r.view.Len()
	err := r.blocks()
	if bound.Last {
		slices.Reverse(out.Spans)
	}
	return err
}

// blocks goes through the mailbox.
func (r *run) blocks() error {
	size := block
	if r.bound.Limit > 0 {
		size = firstBlock
	}
	for r.done < r.total {
		n := min(size, r.total-r.done)
		from := r.done
		if r.bound.Last {
			from = r.total - r.done - n
		}
		if err := r.decide(from, from+n); err != nil {
			return err
		}
		r.done += n
		if r.bound.Limit > 0 && r.out.Count >= r.bound.Limit || r.done == r.total {
			return nil
		}
		if err := r.scope.check(r.done, r.total); err != nil {
			return err
		}
		size = min(2*size, block)
	}
	return nil
}

// decide decides the messages with indexes in [from, to), at the lowest cost.
func (r *run) decide(from, to int) error {
	r.block = r.block[:0]
	waiting := false
	simple := r.nodes[0].dear == costArray && !r.bound.Last
	r.view.Each(from, func(i int, e mailbox.Entry) bool {
		if i >= to {
			return false
		}
		if e.Flags&r.mask != r.want {
			return true
		}
		r.entry, r.index = e, uint32(i)
		is := holds
		if !r.exact {
			is = r.eval(0, costArray)
		}
		switch {
		case is == never:
		case simple:
			r.out.add(r.index, e.ModSeq, false)
			return r.bound.Limit == 0 || r.out.Count < r.bound.Limit
		default:
			waiting = waiting || is == open
			r.block = append(r.block, candidate{Entry: e, index: r.index, is: is})
		}
		return true
	})
	if waiting {
		r.sweep.done = r.done
		if err := r.sweep.over(r.block); err != nil {
			return err
		}
	}
	r.give()
	return nil
}

// give hands out what holds in the block.
func (r *run) give() {
	for k := range r.block {
		c := &r.block[k]
		if r.bound.Last {
			c = &r.block[len(r.block)-1-k]
		}
		if c.is == holds {
			if r.out.add(c.index, c.ModSeq, r.bound.Last); r.bound.Limit > 0 && r.out.Count >= r.bound.Limit {
				return
			}
		}
	}
}

// visit decides a candidate that the cursor is at.
func (r *run) visit(c *candidate) error {
	r.entry, r.index, r.meta, r.said = c.Entry, c.index, &r.sweep.cursor.Meta, 0
	if c.is = r.eval(0, costRow); c.is != open {
		return nil
	}
	items, there, err := r.sweep.header()
	if err != nil || !there {
		c.is = never
		return err
	}
	r.items = items
	if c.is = r.eval(0, costItems); c.is != open {
		return nil
	}
	if there, err := r.sweep.cursor.Structure(); err != nil || !there {
		c.is = never
		return err
	}
	if err := r.readText(); err != nil {
		return err
	}
	c.is = r.eval(0, costText)
	return nil
}
