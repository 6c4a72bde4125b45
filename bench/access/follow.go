package access

import (
	"context"
	"sync"
)

// Followed is what a Follow has seen.
type Followed struct {
	Told  int64 // times that IDLE told of new mail
	Texts int64
}

// Follow keeps one session of IMAP in the first mailbox: it reads the texts that are
// there, waits in IDLE, and reads what that tells of, until ctx ends; then it looks
// once more and returns. Nobody may expunge meanwhile. The text is valid during the
// call of take.
func (b *Bench) Follow(ctx context.Context, take func(text []byte)) (seen Followed, err error) {
	r := &harvester{b: b, take: func(text []byte) {
		seen.Texts++
		take(text)
	}}
	c := &r.imap
	defer c.shut()
	if err := r.enter(context.WithoutCancel(ctx), b.boxes[0].name); err != nil {
		return seen, err
	}
	for known := 0; ; {
		exists := c.exists
		if err := r.fetch(known + 1); err != nil {
			return seen, err
		}
		if known = exists; ctx.Err() != nil {
			return seen, c.ask("LOGOUT")
		}
		if err := r.await(ctx, known); err != nil {
			return seen, err
		}
		if c.exists > known {
			seen.Told++
		} else if err := c.ask("NOOP"); err != nil {
			return seen, err
		}
	}
}

// await stays in IDLE until more than known messages exist, or ctx ends.
func (r *harvester) await(ctx context.Context, known int) error {
	c := &r.imap
	if c.exists > known {
		return nil // it came beside another answer
	}
	c.command("IDLE\r\n")
	if err := c.flush(); err != nil {
		return err
	}
	for continued := false; !continued; {
		var done bool
		var err error
		if continued, done, err = c.response(); err != nil {
			return err
		}
		if done {
			return malformed("IDLE ends before it has begun")
		}
	}
	last, err := c.wait("DONE\r\n")
	if err != nil {
		return err
	}
	done := sync.OnceFunc(last)
	if c.exists > known {
		done()
	}
	c.onExists = func(exists, _ int) {
		if exists > known {
			done()
		}
	}
	stop := context.AfterFunc(ctx, done)
	err = c.answer()
	stop()
	c.onExists, c.patient = nil, false
	return err
}
