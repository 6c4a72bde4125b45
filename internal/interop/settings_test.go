//go:build interop

package interop

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// strangers makes the tests' own address one that is not trusted.
const strangers = "[relay]\nnetworks = [\"127.0.0.9/32\"]\ndomains = [\"example.test\"]\n"

// soon is when a limit of one second must have acted; the defaults take longer.
const soon = 9 * time.Second

// timed runs f, which a limit of one second ends.
func timed(t *testing.T, f func()) {
	t.Helper()
	began := time.Now()
	f()
	if took := time.Since(began); took < 800*time.Millisecond || took > soon {
		t.Errorf("a limit of 1 s acted after %v", took)
	}
}

// Every number of [limits] does what the reference says, in the built daemon: at
// the limit all is well, one above is not.
// Covers HR1, HR2, R3, R16, R23, HS6, HS7, HS12, N1.
func TestLimits(t *testing.T) {
	hello := func(t *testing.T, r *relay) *smtpClient {
		t.Helper()
		c := dialSMTP(t, "tcp", r.addr)
		c.say("EHLO client.example", "250")
		return c
	}
	for _, c := range []struct {
		limits, more string
		try          func(t *testing.T, r *relay)
	}{
		{"connections_per_client = 2", strangers, func(t *testing.T, r *relay) {
			first := hello(t, r)
			hello(t, r)
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			third := newSMTP(t, c)
			third.expect("421 4.7.0")
			third.closed()
			for range 3 {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
				c, err := d.Dial("tcp", r.addr)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				wrapSMTP(t, c) // a trusted client is exempt
			}
			first.send("Subject: x\r\n\r\nx", "250")
		}},
		{"connections = 2", "", func(t *testing.T, r *relay) {
			hello(t, r)
			first := hello(t, r)
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			newSMTP(t, c).expect("421 4.3.2")
			first.send("Subject: x\r\n\r\nx", "250")
		}},
		{"recipients = 100", "", func(t *testing.T, r *relay) {
			c := hello(t, r)
			c.say("MAIL FROM:<a@example.org>", "250")
			for i := range 100 {
				c.say(fmt.Sprintf("RCPT TO:<r%d@example.test>", i), "250")
			}
			c.say("RCPT TO:<more@example.test>", "452 4.5.3")
			c.say("DATA", "354")
			c.write("Subject: x\r\n\r\nx\r\n.\r\n")
			c.expect("250")
		}},
		{"header = \"64KiB\"", "", func(t *testing.T, r *relay) {
			c := hello(t, r)
			line := "X: " + strings.Repeat("x", 1024-5) + "\r\n" // 1 KiB
			c.send(strings.Repeat(line, 63)+"\r\nx", "250")
			c.send(strings.Repeat(line, 65)+"\r\nx", "552 5.3.4")
		}},
		{"hops = 10", "", func(t *testing.T, r *relay) {
			c := hello(t, r)
			c.send(strings.Repeat("Received: from x by y\r\n", 10)+"\r\nx", "250")
			c.send(strings.Repeat("Received: from x by y\r\n", 11)+"\r\nx", "554 5.4.6")
		}},
		{"junk_commands = 10", "", func(t *testing.T, r *relay) {
			c := hello(t, r)
			for range 10 {
				c.say("NOOP", "250")
			}
			c.say("NOOP", "421 4.7.0")
			c.closed()
		}},
		{"command_timeout = \"1s\"", "", func(t *testing.T, r *relay) {
			c := hello(t, r)
			timed(t, func() { c.expect("421 4.4.2") })
			c.closed()
		}},
		{"connections = 10\nstress_timeout = \"1s\"", "", func(t *testing.T, r *relay) {
			c := hello(t, r)
			for range 8 {
				hello(t, r)
			}
			timed(t, func() { c.expect("421 4.4.2") })
		}},
		{"handshake_timeout = \"1s\"", "", func(t *testing.T, r *relay) {
			c := hello(t, r)
			c.say("STARTTLS", "220")
			timed(t, c.closed)
		}},
		{"data_rate = \"1MiB\"\ndata_grace = \"1s\"", "", func(t *testing.T, r *relay) {
			c := hello(t, r)
			c.send("Subject: x\r\n\r\n"+strings.Repeat("x\r\n", 100_000), "250") // within the grace
			c.say("MAIL FROM:<a@example.org>", "250")
			c.say("RCPT TO:<b@example.test>", "250")
			c.say("DATA", "354")
			c.write("Subject: x\r\n")
			timed(t, func() { c.expect("421 4.4.2") })
		}},
		{"data_rate = 0\ndata_grace = \"1s\"", "", func(t *testing.T, r *relay) {
			c := hello(t, r)
			c.say("MAIL FROM:<a@example.org>", "250")
			c.say("RCPT TO:<b@example.test>", "250")
			c.say("DATA", "354")
			if err := c.nc.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if b, err := c.in.ReadByte(); err == nil {
				t.Fatalf("without a rate the server said %q to a silent client", b)
			}
			c.write("Subject: x\r\n\r\nx\r\n.\r\n")
			c.expect("250")
		}},
		{"drain = \"1s\"", "", func(t *testing.T, r *relay) {
			c := hello(t, r)
			c.say("MAIL FROM:<a@example.org>", "250")
			c.say("RCPT TO:<b@example.test>", "250")
			c.say("DATA", "354") // and never an end
			began := time.Now()
			if code := r.signal(syscall.SIGTERM); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if took := time.Since(began); took > soon {
				t.Errorf("a drain of 1 s took %v", took)
			}
			r.start()
		}},
		{"", "[relay]\nmax_message_size = \"1KiB\"\n", func(t *testing.T, r *relay) {
			c := dialSMTP(t, "tcp", r.addr)
			if got := c.say("EHLO client.example", "250"); !strings.Contains(got, "SIZE 1024") {
				t.Errorf("offered:\n%s", got)
			}
			c.say("MAIL FROM:<a@example.org> SIZE=1024", "250")
			c.say("RSET", "250")
			c.say("MAIL FROM:<a@example.org> SIZE=1025", "552 5.3.4")
			c.send(strings.Repeat("x", 1022), "250")
			c.send(strings.Repeat("x", 1023), "552 5.3.4")
		}},
		{"", "[queue]\nmemory = \"1MiB\"\n", func(t *testing.T, r *relay) {
			var open []*smtpClient
			got := ""
			for i := 0; i < 10 && !strings.HasPrefix(got, "452 4.3.1"); i++ {
				c := hello(t, r)
				got = c.ask("MAIL FROM:<a@example.org> SIZE=250000") // which it makes room for
				open = append(open, c)
			}
			if n := len(open); n < 4 || n > 6 {
				t.Errorf("%d texts of 250 KB fit into 1 MiB, then %q", n-1, got)
			}
			for _, c := range open {
				_ = c.nc.Close()
			}
			if !await(soon, func() bool { return strings.HasPrefix(hello(t, r).ask("MAIL FROM:<a@example.org>"), "250") }) {
				t.Error("mail is refused still, with nothing being received")
			}
		}},
	} {
		t.Run(strings.Fields(c.limits + " " + c.more)[0]+" "+c.limits, func(t *testing.T) {
			t.Parallel()
			r := newRelay(t, t.TempDir(), "hold", c.more+"[limits]\n"+c.limits+"\n")
			r.startQuietly()
			c.try(t, r)
		})
	}
}

// A listener says what it asks for: TLS always, when the client likes, or never;
// and one may be a unix socket.
// Covers R10.
func TestListeners(t *testing.T) {
	must, never := freeAddress(t), freeAddress(t)
	r := newRelay(t, t.TempDir(), "hold", fmt.Sprintf(`
[[listener]]
address = %q
tls = "required"
[[listener]]
address = %q
tls = "off"
[[listener]]
address = "unix:in.sock"
`, must, never))
	r.start()
	c := dialSMTP(t, "tcp", must)
	if got := c.say("EHLO client.example", "250"); !strings.Contains(got, "STARTTLS") {
		t.Errorf("TLS is required and not offered:\n%s", got)
	}
	c.say("MAIL FROM:<a@example.org>", "530 5.7.0")
	c.startTLS()
	c.say("MAIL FROM:<a@example.org>", "503") // what was said in clear is forgotten
	c.say("EHLO client.example", "250")
	c.send("Subject: x\r\n\r\nx", "250")

	c = dialSMTP(t, "tcp", never)
	if got := c.say("EHLO client.example", "250"); strings.Contains(got, "STARTTLS") {
		t.Errorf("TLS is off and offered:\n%s", got)
	}
	c.say("STARTTLS", "502")
	c.send("Subject: x\r\n\r\nx", "250")

	c = dialSMTP(t, "unix", filepath.Join(r.dir, "data", "in.sock"))
	c.say("EHLO client.example", "250")
	c.send("Subject: x\r\n\r\nx", "250")
	if !await(soon, func() bool { return len(r.events(`"ev":"accepted"`)) == 3 }) {
		t.Errorf("%d messages were accepted, want 3", len(r.events(`"ev":"accepted"`)))
	}
}

// The operator's commands end with the codes that scripts rely on.
func TestExitCodes(t *testing.T) {
	r := newRelay(t, t.TempDir(), "hold", "")
	expect := func(want int, args ...string) {
		t.Helper()
		if out, code := r.command(args...); code != want {
			t.Errorf("%v: exit %d, want %d: %s", args, code, want, out)
		}
	}
	unknown := "01ARZ3NDEKTSV4RRFFQ69G5FAV"
	expect(2, "status") // critical
	expect(1, "queue", "list")
	expect(0, "check")
	r.start()
	dialSMTP(t, "tcp", r.addr).say("EHLO client.example", "250")
	_, err := sendOnce(r.addr)
	if err != nil {
		t.Fatal(err)
	}
	expect(0, "status")
	expect(0, "queue", "list")
	expect(3, "queue", "list", "--from", "nobody@example.org")
	expect(2, "queue", "show", "not an id")
	expect(2, "queue", "list", "--older", "nonsense")
	expect(2, "queue", "summary", "--state", "nonsense")
	expect(3, "queue", "show", unknown)
	expect(3, "queue", "cat", unknown)
	expect(3, "queue", "drop", unknown, "--reason", "test", "--yes")
	expect(2, "queue", "drop", "--reason", "test", "--yes")         // nothing restricts it
	expect(3, "queue", "retry", "--from", "a@example.org", "--yes") // it is held
	expect(0, "queue", "release", "--from", "a@example.org", "--dry-run")
	expect(2, "queue", "bounce", "--from", "a@example.org", "--yes") // no reason
	expect(2, "queue", "hold", "--reason", "test", "--yes")          // nothing restricts it
	expect(0, "queue", "drop", "--from", "a@example.org", "--reason", "test", "--yes")
	expect(2, "queue", "nonsense")
	r.signal(syscall.SIGTERM)
	expect(2, "status")
}
