//go:build interop

package interop

import (
	"crypto/tls"
	"fmt"
	"net"
	"testing"

	"postrider/access/imap/imaptest"
)

// imapServer is a postrider with users and mailboxes, and IMAP with STARTTLS, by TLS
// from the first octet and in clear.
type imapServer struct {
	*popServer
	imap, imaps, clear string
}

func newIMAPServer(t *testing.T, messages int, users ...string) *imapServer {
	t.Helper()
	s := &imapServer{}
	s.popServer = newMailServer(t, 3, func(free []string) string {
		s.imap, s.imaps, s.clear = free[0], free[1], free[2]
		return fmt.Sprintf(`[[listener]]
address = %q
service = "imap"
tls = "optional"
[[listener]]
address = %q
service = "imaps"
[[listener]]
address = %q
service = "imap"
tls = "off"
`, s.imap, s.imaps, s.clear)
	}, messages, users...)
	return s
}

// dialTLS connects to the listener that speaks TLS at once.
func (s *imapServer) dialTLS() (net.Conn, error) {
	return tls.Dial("tcp", s.imaps, &tls.Config{InsecureSkipVerify: true})
}

// session logs a user in.
func (s *imapServer) session(user string) *imaptest.Client {
	s.t.Helper()
	nc, err := s.dialTLS()
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := imaptest.NewClient("t", nc)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := c.OK(fmt.Sprintf("LOGIN %s@isp.example %s", user, imaptest.Quote(popPassword))); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// texts reads all messages of a mailbox.
func (s *imapServer) texts(user, box string) (texts []string, found []imaptest.Found) {
	s.t.Helper()
	c := s.session(user)
	if _, err := c.OK("EXAMINE " + imaptest.Quote(box)); err != nil {
		s.t.Fatal(err)
	}
	found, err := c.Everything()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range found {
		texts = append(texts, f.Text)
	}
	if err := c.Logout(); err != nil {
		s.t.Fatal(err)
	}
	return texts, found
}
