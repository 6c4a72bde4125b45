package delivery

import (
	"context"
	"errors"

	"postrider/delivery/mailbox"
	"postrider/internal/mail"
)

// work is the memory of one delivery, used again for the next.
type work struct {
	delivery mailbox.Delivery
	places   []int // of each target: index in the delivery's recipients
	prefix   []byte
	header   header
	rest     withoutCuts
}

func (a *Agent) work() *work { return a.works.Get().(*work) }

// mostKept bounds the memory that is kept for the next delivery.
const mostKept = 64 << 10

// release gives w back.
func (a *Agent) release(w *work) {
	if cap(w.prefix) > mostKept || cap(w.delivery.Targets) > mostKept/128 {
		return
	}
	clear(w.delivery.Targets)
	w.delivery = mailbox.Delivery{Targets: w.delivery.Targets[:0]}
	w.places, w.prefix, w.rest = w.places[:0], w.prefix[:0], withoutCuts{}
	w.header.reset()
	a.works.Put(w)
}

// read looks at the header of a message, and takes out what must not stay. A text that
// comes from a file is verified by its last read, since who reads so many bytes as it
// has would not see what follows.
func (w *work) read(d *mail.Delivery) error {
	if err := w.header.read(d.Body); err != nil {
		return err
	}
	w.delivery.Key, w.delivery.Text = d.Envelope.ID, d.Body
	if len(w.header.cuts) > 0 || d.Body.Bytes() == nil {
		w.rest.cut(d.Body, w.header.cuts)
		w.delivery.Text = &w.rest
	}
	return nil
}

// address finds the mailbox of each recipient, and sets the outcome of those that have
// none. False says that of some it cannot be told now.
func (a *Agent) address(ctx context.Context, w *work, d *mail.Delivery) bool {
	sure := true
	for i, k := range d.Recipients {
		if !d.Outcomes[i].IsZero() {
			continue
		}
		address := d.Envelope.Recipients[k].Address
		if w.header.loops(address) {
			d.Set(i, statusLoop)
			continue
		}
		m, st := a.find(ctx, address)
		if !st.IsZero() {
			d.Set(i, st)
			sure = sure && !st.Temporary()
			continue
		}
		w.add(i, k, m, d.Sender, address)
	}
	// The prefix may have moved while it grew.
	at := 0
	for i := range w.delivery.Targets {
		t := &w.delivery.Targets[i]
		n := len(t.Prefix)
		t.Prefix = w.prefix[at : at+n : at+n]
		at += n
	}
	return sure
}

// add makes a target of a recipient.
func (w *work) add(place, recipient int, m *mailbox.Mailbox, sender, address []byte) {
	from := len(w.prefix)
	w.prefix = append(w.prefix, "Return-Path: <"...)
	w.prefix = appendPlain(w.prefix, sender)
	w.prefix = append(w.prefix, ">\r\nDelivered-To: "...)
	w.prefix = appendPlain(w.prefix, address)
	w.prefix = append(w.prefix, "\r\n"...)
	w.delivery.Targets = append(w.delivery.Targets, mailbox.Target{Mailbox: m, Recipient: recipient, Prefix: w.prefix[from:]})
	w.places = append(w.places, place)
}

// appendPlain appends an address, in which a line of a header cannot end: canonical
// ones have no control bytes, and what comes here must not depend on it.
func appendPlain(dst, address []byte) []byte {
	for _, c := range address {
		if c < ' ' || c == 0x7f {
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}

// file gives the message to the store and sets the outcomes of its targets. A mailbox
// that went away since it was looked up is looked up once more. The error is of the
// text.
func (a *Agent) file(ctx context.Context, w *work, d *mail.Delivery) error {
	for again := false; len(w.delivery.Targets) > 0; again = true {
		if err := a.o.Store.Deliver(ctx, &w.delivery); errors.Is(err, mail.ErrCorrupt) {
			return err
		}
		gone := 0
		for i := range w.delivery.Targets {
			switch err := w.delivery.Targets[i].Err; {
			case err == nil:
				d.Set(w.places[i], statusFiled)
			case isGone(err) && !again:
				gone++
			default:
				d.Set(w.places[i], a.statusOf(err))
			}
		}
		if gone == 0 {
			return nil
		}
		a.forgetHolders(w, d)
		clear(w.delivery.Targets)
		w.delivery.Targets, w.places, w.prefix = w.delivery.Targets[:0], w.places[:0], w.prefix[:0]
		a.address(ctx, w, d)
	}
	return nil
}

func isGone(err error) bool {
	return errors.Is(err, mailbox.ErrNoMailbox) || errors.Is(err, mailbox.ErrNoAccount)
}
