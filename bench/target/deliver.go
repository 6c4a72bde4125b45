package target

import (
	"bytes"
	"context"
	"errors"
	"net"
	"time"

	"github.com/emersion/go-smtp"
)

// deliver is one connection to the next hop: it hands letters on, one after the
// other, until ctx ends.
func (r *reference) deliver(ctx context.Context) {
	select {
	case <-r.start:
	case <-ctx.Done():
		return
	}
	hop := &referenceHop{address: r.o.NextHop}
	defer hop.close()
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-r.queue:
			r.handOn(ctx, hop, l)
		}
	}
}

// handOn tries a letter once. A refusal for good ends a recipient too: there are no
// bounces here.
func (r *reference) handOn(ctx context.Context, hop *referenceHop, l *letter) {
	before := len(l.to)
	l.to = hop.send(ctx, l)
	r.duties.Add(int64(len(l.to) - before))
	if len(l.to) == 0 {
		r.bytes.Add(int64(-len(l.text)))
		return
	}
	select {
	case r.later <- retry{l, time.Now().Add(r.o.Retry)}:
	case <-ctx.Done():
	}
}

// retry is a letter that is due again at a time. All wait equally long, so they are
// due in the order in which they came.
type retry struct {
	l   *letter
	due time.Time
}

// again puts what is due into the queue, until ctx ends.
func (r *reference) again(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case next := <-r.later:
			wait := time.NewTimer(time.Until(next.due))
			select {
			case <-ctx.Done():
				wait.Stop()
				return
			case <-wait.C:
			}
			select {
			case <-ctx.Done():
				return
			case r.queue <- next.l:
			}
		}
	}
}

// referenceHop is a connection that is made when it is needed.
type referenceHop struct {
	address string
	client  *smtp.Client // nil: none
	stop    func() bool
}

// close lets go of the connection; that it is broken is known.
func (h *referenceHop) close() {
	if h.client == nil {
		return
	}
	h.stop()
	_ = h.client.Close()
	h.client = nil
}

func (h *referenceHop) connect(ctx context.Context) error {
	if h.client != nil {
		return nil
	}
	d := net.Dialer{Timeout: 10 * time.Second}
	c, err := d.DialContext(ctx, "tcp", h.address)
	if err != nil {
		return err
	}
	h.client = smtp.NewClient(c)
	h.stop = context.AfterFunc(ctx, func() { _ = c.Close() }) // ends what waits for a reply
	if err := h.client.Hello("reference.bench.test"); err != nil {
		h.close()
		return err
	}
	return nil
}

// send returns the recipients that have not ended.
func (h *referenceHop) send(ctx context.Context, l *letter) []string {
	if err := h.connect(ctx); err != nil {
		return l.to
	}
	left, err := h.transact(l)
	switch {
	case err == nil:
	case replyCode(err) == 0: // no reply: the connection is of no more use
		h.close()
	case h.client.Reset() != nil:
		h.close()
	}
	return left
}

// transact returns the recipients that have not ended, and what the transaction
// failed of, if it did.
func (h *referenceHop) transact(l *letter) ([]string, error) {
	if err := h.client.Mail(l.from, nil); err != nil {
		return unlessRefused(err, l.to), err
	}
	var taken, left []string
	for i, to := range l.to {
		err := h.client.Rcpt(to, nil)
		switch code := replyCode(err); {
		case err == nil:
			taken = append(taken, to)
		case code >= 500:
		case code >= 400:
			left = append(left, to)
		default:
			return append(append(left, taken...), l.to[i:]...), err
		}
	}
	if len(taken) == 0 {
		return left, h.client.Reset()
	}
	if err := h.text(l.text); err != nil {
		return append(left, unlessRefused(err, taken)...), err
	}
	return left, nil
}

// unlessRefused returns list, or nothing when err is a refusal for good.
func unlessRefused(err error, list []string) []string {
	if replyCode(err) >= 500 {
		return nil
	}
	return list
}

func (h *referenceHop) text(text []byte) error {
	w, err := h.client.Data()
	if err != nil {
		return err
	}
	if _, err := bytes.NewReader(text).WriteTo(w); err != nil {
		return err
	}
	return w.Close()
}

// replyCode returns that of a refusal, 0 of any other failure.
func replyCode(err error) int {
	var refusal *smtp.SMTPError
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return 0
}
