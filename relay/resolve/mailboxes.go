package resolve

import (
	"context"

	"postrider/internal/mail"
)

// Mailboxes knows who has a mailbox here. It is asked by many goroutines.
type Mailboxes interface {
	// Recipient says what stands against mail of announcedBytes (0: not known) for a
	// canonical address: zero, 550 for nobody's, 4xx when that cannot be told, or
	// what is said of a full mailbox. With announcedBytes below 0 nobody asks whether
	// there is room. The address is valid during the call.
	Recipient(ctx context.Context, address []byte, announcedBytes int64) mail.Status
}

// users tells the aliases who has a mailbox.
type users struct {
	ctx  context.Context // of one call of Rules.Recipient
	r    *Rules
	a    *Answer
	text []byte
}

// User implements aliases.Users.
func (u *users) User(to mail.Address) mail.Status {
	if u.r.Routes.Lookup(to.Domain, u.a.selector).Hop.Kind != mail.HopLocal {
		return statusNoUser // a catch-all stands for all that is elsewhere
	}
	u.text = to.AppendText(u.text[:0])
	return u.r.asks(u.ctx, u.text, -1, u.a)
}

// asks asks for a mailbox.
func (r *Rules) asks(ctx context.Context, address []byte, announcedBytes int64, a *Answer) mail.Status {
	s := r.Mailboxes.Recipient(ctx, address, announcedBytes)
	a.unsure = a.unsure || !s.IsZero() && s.Temporary()
	return s
}
