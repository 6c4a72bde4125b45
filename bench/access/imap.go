package access

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"strconv"
)

// imap speaks IMAP4rev1 (RFC 3501) with a server. What the server says on its own
// or beside an answer goes to the fields that describe the selected mailbox and
// to the hooks.
type imap struct {
	link
	tag uint32

	exists      int    // messages in the selected mailbox
	uidValidity uint64 // 0: not said
	uidNext     uint64 // 0: not said
	status      mailboxStatus

	fetched  fetched                  // the message at hand of a FETCH response
	onFetch  func(f *fetched) error   // may be nil
	onGone   func(seq int) error      // EXPUNGE; may be nil
	onFound  func(uid uint64)         // SEARCH; may be nil
	onExists func(exists, before int) // may be nil
	onText   func(piece []byte)       // of BODY[]; nil: it is examined
}

// mailboxStatus is what STATUS says.
type mailboxStatus struct {
	said                                   bool
	messages, unseen, uidNext, uidValidity uint64
}

// command begins a command with a new tag; the caller appends its rest.
func (c *imap) command(text string) {
	c.tag++
	c.out = append(c.out, 'a')
	c.out = strconv.AppendUint(c.out, uint64(c.tag), 10)
	c.out = append(append(c.out, ' '), text...)
}

func (c *imap) appendUint(n uint64) { c.out = strconv.AppendUint(c.out, n, 10) }

func (c *imap) appendString(s string) { c.out = append(c.out, s...) }

// appendQuoted appends s as a quoted string.
func (c *imap) appendQuoted(s string) {
	c.out = append(c.out, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			c.out = append(c.out, '\\')
		}
		c.out = append(c.out, s[i])
	}
	c.out = append(c.out, '"')
}

// finish sends the command and reads until its answer.
func (c *imap) finish() error {
	c.out = append(c.out, "\r\n"...)
	if err := c.flush(); err != nil {
		return err
	}
	return c.answer()
}

// ask sends a command and reads until its answer.
func (c *imap) ask(text string) error {
	c.command(text)
	return c.finish()
}

// answer reads responses until that to the last command.
func (c *imap) answer() error {
	for {
		continued, done, err := c.response()
		if err != nil {
			return err
		}
		if continued {
			return malformed("a continuation that nobody asked for")
		}
		if done {
			return nil
		}
	}
}

// response reads one response. done is true for OK to the last command; NO and
// BAD to it, and BYE outside of LOGOUT, are errors.
func (c *imap) response() (continued, done bool, err error) {
	k, err := c.next()
	if err != nil {
		return false, false, err
	}
	if k.kind != tokenAtom {
		return false, false, malformed("a response begins with no word")
	}
	switch {
	case k.is("+"):
		_, err := c.rest()
		return true, false, err
	case k.is("*"):
		return false, false, c.untagged()
	}
	var tag [12]byte
	if want := strconv.AppendUint(append(tag[:0], 'a'), uint64(c.tag), 10); !bytes.Equal(k.text, want) {
		return false, false, malformed("a response to %q where %q is open", shorten(k.text), string(want))
	}
	k, err = c.next()
	if err != nil {
		return false, false, err
	}
	ok, no := k.is("OK"), k.is("NO") || k.is("BAD")
	text, err := c.rest()
	switch {
	case err != nil:
		return false, false, err
	case ok:
		c.code(text)
		return false, true, nil
	case no:
		return false, false, fmt.Errorf("%w: %s", errRefused, shorten(text))
	}
	return false, false, malformed("a status that is neither OK nor NO nor BAD")
}

// code takes what a response code says of the mailbox.
func (c *imap) code(text []byte) {
	if n, ok := codeNumber(text, "UIDVALIDITY"); ok {
		c.uidValidity = n
	}
	if n, ok := codeNumber(text, "UIDNEXT"); ok {
		c.uidNext = n
	}
}

// begin connects, turns to TLS if that is wanted, and logs in.
func (c *imap) begin(ctx context.Context, o *Options, config *tls.Config, name string) error {
	c.tag, c.exists, c.uidValidity, c.uidNext = 0, 0, 0, 0
	var implicit *tls.Config
	if o.TLS == TLSImplicit {
		implicit = config
	}
	if err := c.open(ctx, o.IMAP, o.Timeout, implicit); err != nil {
		return err
	}
	if _, _, err := c.response(); err != nil { // the greeting
		return err
	}
	if o.TLS == TLSStart {
		if err := c.ask("STARTTLS"); err != nil {
			return err
		}
		if err := c.protect(ctx, o.IMAP, config); err != nil {
			return err
		}
	}
	c.command("LOGIN ")
	c.appendQuoted(name)
	c.appendString(" ")
	c.appendQuoted(o.Password)
	return c.finish()
}

// selectInbox selects INBOX anew.
func (c *imap) selectInbox() error {
	c.exists, c.uidValidity, c.uidNext = 0, 0, 0
	return c.ask("SELECT INBOX")
}
