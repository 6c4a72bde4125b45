package smtpd_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"postrider/internal/auth"
)

// The users of the tests have this password; the tests look for it where it must not be.
const password = "pa55-w0rd"

// people is a database whose users are what their names say.
type people struct {
	began, end chan struct{} // the checking of "slow": it tells that it began, and waits
}

func (p people) Lookup(_ context.Context, name string) (*auth.Entry, error) {
	local, _, _ := strings.Cut(name, "@")
	switch local {
	case "alice", "slow", "off":
	case "down":
		return nil, errors.New("no connection to the database")
	default:
		return nil, auth.ErrUnknown
	}
	return &auth.Entry{Name: name, Disabled: local == "off", Verify: func(_ context.Context, given []byte) (bool, error) {
		if local == "slow" {
			close(p.began)
			<-p.end
		}
		return string(given) == password, nil
	}}, nil
}

func logins(t testing.TB, p people) *auth.Authenticator {
	t.Helper()
	a := auth.New(auth.Options{Databases: []auth.Database{p}, Domain: "client.example", Limits: auth.Limits{
		Delay: -1, PerAddress: auth.Allowance{Burst: -1}, PerNetwork: auth.Allowance{Burst: -1},
		PerAccount: auth.Allowance{Burst: -1}, PerKnown: auth.Allowance{Burst: -1},
	}})
	t.Cleanup(a.Close)
	return a
}

// secrets returns the forms in which a password can stand in a text: as it is, and
// the part of its base64 that does not depend on what stands around it.
func secrets(password string) []string {
	list := []string{password}
	for pad := range 3 {
		text := base64.RawStdEncoding.EncodeToString([]byte("\x00\x00"[:pad] + password))
		list = append(list, text[[]int{0, 2, 3}[pad]:len(text)-2])
	}
	return list
}

// lineClient speaks lines and hears replies.
type lineClient struct {
	t  testing.TB
	nc net.Conn
	in *bufio.Reader
}

func newClient(t testing.TB, nc net.Conn) *lineClient {
	t.Helper()
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &lineClient{t: t, nc: nc, in: bufio.NewReader(nc)}
}

func (c *lineClient) say(line string) {
	c.t.Helper()
	if _, err := c.nc.Write([]byte(line + "\r\n")); err != nil {
		c.t.Fatal(err)
	}
}

// reply returns the last line of a reply.
func (c *lineClient) reply() string {
	c.t.Helper()
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatalf("%q, %v", line, err)
		}
		if len(line) < 4 || line[3] != '-' {
			return strings.TrimSuffix(line, "\r\n")
		}
	}
}

func (c *lineClient) expect(prefix string) {
	c.t.Helper()
	if got := c.reply(); !strings.HasPrefix(got, prefix) {
		c.t.Fatalf("got %.200q, want %q", got, prefix)
	}
}

func plain(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}
