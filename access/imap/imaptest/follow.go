package imaptest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// done takes over what the tagged response means.
func (c *Client) done(res *Result) error {
	running := c.running
	c.running = ""
	if err := c.code(&res.Response); err != nil {
		return err
	}
	switch running {
	case "SELECT", "EXAMINE":
		if res.Name != "OK" {
			c.Selected = nil
		}
	case "CLOSE", "UNSELECT":
		if res.Name == "OK" {
			c.Selected = nil
		}
	case "ENABLE":
		for _, r := range res.Untagged {
			for _, a := range r.Args {
				c.qresync = c.qresync || r.Name == "ENABLED" && strings.EqualFold(a.Text, "QRESYNC")
				c.rev2 = c.rev2 || r.Name == "ENABLED" && strings.EqualFold(a.Text, "IMAP4rev2")
				c.condstore = c.condstore || r.Name == "ENABLED" && strings.EqualFold(a.Text, "CONDSTORE")
			}
		}
		c.condstore = c.condstore || c.qresync
	}
	return nil
}

// Idle idles until the server has said something, or for a time, and ends it.
func (c *Client) Idle(d time.Duration) (*Result, error) {
	tag, err := c.begin([]any{"IDLE"})
	if err != nil {
		return nil, err
	}
	res := &Result{}
	if r, err := c.until("+", tag, res); err != nil || r.Tag == tag {
		return nil, errors.Join(err, fmt.Errorf("%s: IDLE refused: %v", c.Name, r))
	}
	if c.in.Buffered() == 0 {
		if err := c.nc.SetReadDeadline(time.Now().Add(d)); err != nil {
			return nil, err
		}
		// A deadline that has passed leaves the connection as it is.
		var late net.Error
		if _, err := c.low.Peek(1); err != nil && !(errors.As(err, &late) && late.Timeout()) {
			return nil, err
		}
	}
	if err := c.send("DONE\r\n"); err != nil {
		return nil, err
	}
	r, err := c.until(tag, tag, res)
	if err != nil {
		return nil, err
	}
	res.Response = *r
	return res, c.done(res)
}

// Logout says good-bye and waits for the end.
func (c *Client) Logout() error {
	defer func() { _ = c.nc.Close() }()
	if _, err := c.OK("LOGOUT"); err != nil {
		return err
	}
	if _, err := c.in.ReadByte(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
