package imap

import (
	"context"

	"postrider/delivery/mailbox"
)

func (s *session) subscribe(c *command) reply   { return s.subscription(c, true) }
func (s *session) unsubscribe(c *command) reply { return s.subscription(c, false) }

// subscription does SUBSCRIBE and UNSUBSCRIBE (RFC 9051 sections 6.3.7 and 6.3.8). The
// mailbox need not exist, so that one which comes and goes stays subscribed to.
func (s *session) subscription(c *command, on bool) reply {
	name, r := s.takeName(c)
	if !r.good() {
		return r
	}
	if !c.bare() {
		return bad(textArguments)
	}
	if err := s.account.Subscribe(s.ctx, name, on); err != nil {
		return s.trouble(err)
	}
	if kept, err := mailbox.BoxName(name); err == nil {
		s.ownSubscription(kept, on)
	}
	if on {
		return ok("SUBSCRIBE completed")
	}
	return ok("UNSUBSCRIBE completed")
}

// furnish gives an account, at the first login of its user, the mailboxes that clients
// look for.
func furnish(ctx context.Context, a *mailbox.Account, names []string) error {
	if len(names) == 0 {
		return nil
	}
	boxes := make([]mailbox.Info, 0, len(names))
	for _, name := range names {
		boxes = append(boxes, mailbox.Info{Name: name, Attributes: useOf([]byte(`\` + name))})
	}
	return a.Furnish(ctx, boxes)
}
