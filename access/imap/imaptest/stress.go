package imaptest

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
)

// Options are those of Stress.
type Options struct {
	Dial           func() (net.Conn, error)
	StartTLS       bool
	User, Password string
	Boxes          []string // made where they are missing; INBOX may be one
	Sessions       int
	Steps          int // of each session; 0: until the context ends
	Seed           uint64
	Ledger         *Ledger
	// Killed says that the server may end at any time: then sessions end without an
	// error, and nothing is compared at the end.
	Killed bool
	// Loose lets mod-sequences of messages go back, as Dovecot's sometimes do.
	Loose bool
}

// Stats says how often each action was done.
type Stats map[string]int

// Stress lets sessions work at random, each from a seed of its own, and compares at
// the end what each was told with what is there.
func Stress(ctx context.Context, o *Options) (Stats, error) {
	if err := prepare(o); err != nil {
		return nil, err
	}
	workers := make([]*worker, o.Sessions)
	var run sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i := range workers {
		w := &worker{o: o, number: i, rng: rand.New(rand.NewPCG(o.Seed, uint64(i))), stats: Stats{}, past: make(map[string]*Selected)}
		workers[i] = w
		run.Go(func() {
			if w.err = w.work(ctx); w.err != nil {
				cancel()
			}
		})
	}
	run.Wait()
	stats := Stats{}
	var errs []error
	for _, w := range workers {
		for name, n := range w.stats {
			stats[name] += n
		}
		if w.err == nil && !o.Killed {
			w.err = w.settle()
		}
		errs = append(errs, w.report())
	}
	if err := errors.Join(errs...); err != nil || o.Killed {
		return stats, err
	}
	now := o.Ledger.Now()
	return stats, Inspect(o, now, now)
}

// login opens a session.
func login(o *Options, name string) (*Client, map[string]bool, error) {
	nc, err := o.Dial()
	if err != nil {
		return nil, nil, err
	}
	c, err := NewClient(name, nc)
	if err != nil {
		return nil, nil, err
	}
	c.loose = o.Loose
	if o.StartTLS {
		if err := c.StartTLS(); err != nil {
			return nil, nil, err
		}
	}
	if _, err := c.OK("LOGIN " + Quote(o.User) + " " + Quote(o.Password)); err != nil {
		return nil, nil, err
	}
	res, err := c.OK("CAPABILITY")
	if err != nil {
		return nil, nil, err
	}
	can := make(map[string]bool)
	for _, r := range res.Untagged {
		for _, a := range r.Args {
			can[strings.ToUpper(a.Text)] = r.Name == "CAPABILITY"
		}
	}
	return c, can, nil
}

// prepare makes the mailboxes.
func prepare(o *Options) error {
	c, _, err := login(o, "p")
	if err != nil {
		return err
	}
	for _, box := range o.Boxes {
		r, err := c.Do("EXAMINE " + Quote(box))
		if err == nil && r.Name != "OK" {
			_, err = c.OK("CREATE " + Quote(box))
		}
		if err != nil {
			return err
		}
	}
	return c.Logout()
}

// Inspect compares all mailboxes with the ledger; see Ledger.Check.
func Inspect(o *Options, from, to int64) error {
	c, _, err := login(o, "i")
	if err != nil {
		return err
	}
	for _, box := range o.Boxes {
		if _, err := c.OK("EXAMINE " + Quote(box)); err != nil {
			return err
		}
		c.Selected.Name = box
		if !o.Loose {
			if err := o.Ledger.CheckNumbers(c.Selected, from); err != nil {
				return err
			}
		}
		found, err := c.Everything()
		if err != nil {
			return err
		}
		if err := o.Ledger.Check(box, found, from, to); err != nil {
			return err
		}
	}
	return c.Logout()
}

// Everything reads all messages of the selected mailbox.
func (c *Client) Everything() (found []Found, err error) {
	if len(c.Selected.Messages) == 0 {
		return nil, nil
	}
	res, err := c.OK("FETCH 1:* (UID FLAGS BODY.PEEK[])")
	if err != nil {
		return nil, err
	}
	for _, r := range res.Untagged {
		text, ok := r.Items()["BODY[]"]
		if r.Name == "FETCH" && ok {
			m := c.Selected.Messages[r.Number-1]
			found = append(found, Found{UID: m.UID, Flags: m.Flags, Text: text.Text})
		}
	}
	if len(found) != len(c.Selected.Messages) {
		return nil, violation("%d texts of %d messages", len(found), len(c.Selected.Messages))
	}
	return found, nil
}
