package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// deliverer puts messages into mailboxes, one after another, over a connection by
// LMTP (RFC 2033) or SMTP that is kept as long as it works.
type deliverer struct {
	link
	o         *Options
	tally     *tally
	ready     bool
	text, raw []byte // of the message at hand
}

func newDeliverer(o *Options, t *tally) *deliverer { return &deliverer{o: o, tally: t} }

// deliver sends the next message to box and notes in the model what became of it.
// begun is the moment from which its latency counts, replied that of its reply.
func (d *deliverer) deliver(ctx context.Context, box *mailbox, begun time.Time) (replied time.Time, err error) {
	box.last++
	number := box.last
	d.text, d.raw = appendMessage(d.text[:0], d.raw, d.o.Seed, box, number, d.o.Size)
	offered, err := d.offer(ctx, box)
	replied = time.Now()
	if err == nil {
		box.delivered(number, false)
		d.tally.done(opDeliver, replied.Sub(begun), 1, int64(len(d.text)))
		return replied, nil
	}
	if offered && !errors.Is(err, errRefused) {
		box.delivered(number, true)
	}
	if !errors.Is(err, errRefused) {
		d.shut()
		d.ready = false
	}
	if errors.Is(err, errMalformed) {
		d.tally.violation(opDeliver, box, "%v", err)
	}
	if ctx.Err() == nil {
		d.tally.failed(opDeliver)
	}
	return replied, fmt.Errorf("delivery: %w", err)
}

// offer sends the text; offered tells whether all of it may have arrived.
func (d *deliverer) offer(ctx context.Context, box *mailbox) (offered bool, err error) {
	if !d.ready {
		if err := d.connect(ctx); err != nil {
			return false, err
		}
	}
	if err := d.ask("MAIL FROM:<bench@bench.invalid>", 250); err != nil {
		return false, err
	}
	if err := d.ask("RCPT TO:<"+box.address+">", 250); err != nil {
		return false, d.rset(err)
	}
	if err := d.ask("DATA", 354); err != nil {
		return false, d.rset(err)
	}
	d.stuff()
	if err := d.flush(); err != nil {
		return true, err
	}
	return true, d.reply(250)
}

func (d *deliverer) connect(ctx context.Context) error {
	address, hello := d.o.LMTP, "LHLO bench.invalid"
	if address == "" {
		address, hello = d.o.SMTP, "EHLO bench.invalid"
	}
	d.shut()
	if err := d.link.open(ctx, address, d.o.Timeout, nil); err != nil {
		return err
	}
	if err := d.reply(220); err != nil {
		return err
	}
	if err := d.ask(hello, 250); err != nil {
		return err
	}
	d.ready = true
	return nil
}

// rset makes the session ready for the next message after a refusal.
func (d *deliverer) rset(cause error) error {
	if errors.Is(cause, errRefused) {
		if err := d.ask("RSET", 250); err != nil {
			return err
		}
	}
	return cause
}

// stuff appends the text with its dots doubled, and the final dot.
func (d *deliverer) stuff() {
	atStart := true
	for _, c := range d.text {
		if atStart && c == '.' {
			d.out = append(d.out, '.')
		}
		d.out = append(d.out, c)
		atStart = c == '\n'
	}
	d.out = append(d.out, ".\r\n"...)
}

func (d *deliverer) ask(command string, want int) error {
	d.out = append(append(d.out, command...), "\r\n"...)
	if err := d.flush(); err != nil {
		return err
	}
	return d.reply(want)
}

// reply reads one, of one line or many.
func (d *deliverer) reply(want int) error {
	for {
		line, err := d.line()
		if err != nil {
			return err
		}
		if len(line) < 3 || line[0] < '2' || line[0] > '5' || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
			return malformed("%q is no reply", shorten(line))
		}
		if len(line) > 3 && line[3] == '-' {
			continue
		}
		got := int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
		switch {
		case got == want:
			return nil
		case got == 421:
			return fmt.Errorf("%w: %s", io.ErrUnexpectedEOF, shorten(line)) // the connection is over
		}
		return fmt.Errorf("%w: %s", errRefused, shorten(line))
	}
}

// quit ends the connection politely.
func (d *deliverer) quit() {
	if d.ready {
		_ = d.ask("QUIT", 221) // there is nothing left that could go wrong
	}
	d.shut()
	d.ready = false
}
