package smtp

import (
	"crypto/tls"
	"encoding/base64"
)

// StartTLS asks for encryption (RFC 3207). Only after a 220 may Handshake
// follow. What a server sends behind its 220 in clear is ErrEarly: anybody on
// the way could have put it there, and it would be taken for a reply that came
// encrypted.
func (c *Client) StartTLS(a *Answer) error {
	c.out = append(c.out, "STARTTLS\r\n"...)
	if err := c.Ask(a, c.t.Hello); err != nil {
		return err
	}
	if a.Code == 220 && c.replies.Buffered() > 0 {
		return ErrEarly
	}
	return nil
}

// Handshake encrypts the conversation from here on. What the server said of
// itself in clear is forgotten (RFC 3207 section 4.2), so that Hello is due; after
// an error the connection is of no more use.
func (c *Client) Handshake(config *tls.Config) (tls.ConnectionState, error) {
	conn := tls.Client(c.raw, config)
	c.readBy = c.deadline(c.readBy, c.t.TLS, c.raw.SetReadDeadline)
	c.writeBy = c.deadline(c.writeBy, c.t.TLS, c.raw.SetWriteDeadline)
	if err := conn.Handshake(); err != nil {
		return tls.ConnectionState{}, err
	}
	c.conn = conn
	c.Extensions = Extensions{AuthText: c.Extensions.AuthText[:0]}
	return conn.ConnectionState(), nil
}

// Login begins a login with the mechanism (RFC 4954 section 4), and with its
// initial response unless that is nil. A reply of 334 has a challenge in its
// text, which Respond answers.
func (c *Client) Login(a *Answer, mechanism string, initial []byte) error {
	c.out = append(append(c.out, "AUTH "...), mechanism...)
	if initial != nil {
		c.out = append(c.out, ' ')
		if len(initial) == 0 { // RFC 4954 section 4: an empty one
			c.out = append(c.out, '=')
		}
		c.out = base64.StdEncoding.AppendEncode(c.out, initial)
	}
	return c.secret(a)
}

// Respond answers a challenge. A nil response gives the login up.
func (c *Client) Respond(a *Answer, response []byte) error {
	if response == nil {
		c.out = append(c.out, '*')
	}
	c.out = base64.StdEncoding.AppendEncode(c.out, response)
	return c.secret(a)
}

// secret ends a line, sends it, and leaves nothing of it in memory that lasts.
func (c *Client) secret(a *Answer) error {
	c.out = append(c.out, '\r', '\n')
	err := c.Flush()
	clear(c.out[:cap(c.out)])
	if err != nil {
		return err
	}
	return c.Read(a, c.t.Auth)
}

// Challenge decodes the text of a 334. It reports false for what is no base64.
func (a *Answer) Challenge() ([]byte, bool) {
	b, err := base64.StdEncoding.AppendDecode(nil, a.Text)
	return b, err == nil
}
