package pop3_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postrider/access/pop3"
)

const enter = "USER user\r\nPASS " + password + "\r\n"

// slowly sends an octet every ten seconds.
func slowly(text string) func(w io.Writer) {
	return func(w io.Writer) {
		for i := 0; ; i++ {
			if _, err := w.Write([]byte{text[i%len(text)]}); err != nil {
				return
			}
			<-time.NewTimer(10 * time.Second).C
		}
	}
}

// A client that is silent or sends an octet every ten seconds gains nothing: each
// state has an absolute end, and its goroutine goes with it. Who is logged in has
// ten minutes for each command, and nothing is removed when they are over.
//
// Covers HR1, HI9.
func TestSlowClients(t *testing.T) {
	const minutes = 10*time.Minute + 5*time.Second
	for _, c := range []struct {
		name, before string
		rest         func(w io.Writer)
		want         time.Duration
		last         string
		tls          bool
	}{
		{"silent at the greeting", "", func(io.Writer) {}, 180 * time.Second, "-ERR Timeout", false},
		{"silent after USER", "USER user\r\n", func(io.Writer) {}, 180 * time.Second, "-ERR Timeout", false},
		{"slow command", "", slowly("CAPA "), 180 * time.Second, "-ERR Timeout", false},
		{"many commands", "", slowly("CAPA\r\n"), 180 * time.Second, "-ERR Timeout", false},
		{"silent in AUTH", "AUTH PLAIN\r\n", func(io.Writer) {}, 180 * time.Second, "-ERR Timeout", false},
		{"slow in AUTH", "AUTH PLAIN\r\n", slowly("A"), 180 * time.Second, "-ERR Timeout", false},
		{"silent when logged in", enter + "DELE 1\r\n", func(io.Writer) {}, minutes, "+OK Marked", false},
		{"slow when logged in", enter + "DELE 1\r\n", slowly("NOOP "), minutes, "+OK Marked", false},
		{"slow handshake", "", slowly("\x16\x03\x01\x02"), 10 * time.Second, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, h := &pop3.Options{}, newHouse("user", "Subject: one\r\n\r\n")
			if c.tls {
				o.TLS, o.ImplicitTLS = certificate, true
			}
			inBubble(t, o, h, func(t *testing.T, p *pipes) {
				began := time.Now()
				nc := p.dial()
				said := make(chan string, 1)
				go func() {
					b, _ := io.ReadAll(nc)
					_ = nc.Close()
					said <- string(b)
				}()
				if c.before != "" {
					if _, err := io.WriteString(nc, c.before); err != nil {
						t.Error(err)
					}
				}
				writer := make(chan struct{})
				go func() {
					defer close(writer)
					c.rest(nc)
				}()
				lines := strings.Split(strings.TrimSpace(<-said), "\r\n")
				took := time.Since(began)
				<-writer
				if lines[len(lines)-1] != c.last && !strings.HasPrefix(c.name, "many") {
					t.Errorf("said %q", lines)
				}
				if took < c.want-time.Second || took > c.want+time.Second {
					t.Errorf("ended after %v, want %v", took, c.want)
				}
			})
			if h.left("user") != "uid1" {
				t.Errorf("left: %q", h.left("user"))
			}
		})
	}
}

// A client that comes back before its ten minutes are over is served, again and
// again.
//
// Covers HR1.
func TestPatientClient(t *testing.T) {
	inBubble(t, &pop3.Options{}, newHouse("user"), func(t *testing.T, p *pipes) {
		nc := p.dial()
		buf := make([]byte, 4096)
		ask := func(command, want string) {
			t.Helper()
			if command != "" {
				if _, err := io.WriteString(nc, command); err != nil {
					t.Fatal(err)
				}
			}
			for said := ""; !strings.HasSuffix(said, want); {
				n, err := nc.Read(buf)
				if err != nil {
					t.Fatalf("%q, %v", said, err)
				}
				said += string(buf[:n])
			}
		}
		ask("", "postrider\r\n")
		ask(enter, "PASS\r\n+OK\r\n")
		for range 20 {
			<-time.NewTimer(10 * time.Minute).C
			ask("NOOP\r\n", "+OK\r\n")
		}
		ask("QUIT\r\n", "Bye\r\n")
		_ = nc.Close()
	})
}

// While nine of ten connections are open, who is not logged in has less time; who is
// keeps his.
//
// Covers HR1, HR2.
func TestStress(t *testing.T) {
	o := &pop3.Options{Limits: pop3.Limits{Connections: 10}}
	inBubble(t, o, newHouse("user"), func(t *testing.T, p *pipes) {
		ended := make(chan string, 10)
		open := func(name, send string) net.Conn {
			nc := p.dial()
			go func() {
				_, _ = io.Copy(io.Discard, nc)
				_ = nc.Close()
				ended <- name
			}()
			if send != "" {
				if _, err := io.WriteString(nc, send); err != nil {
					t.Error(err)
				}
			}
			synctest.Wait()
			return nc
		}
		inside := open("logged in", enter)
		for range 7 {
			open("outside", "")
		}
		<-time.NewTimer(100 * time.Second).C
		if len(ended) > 0 {
			t.Fatal("a session ended before there was any stress")
		}
		began := time.Now()
		open("outside", "")
		if name := <-ended; name != "outside" || time.Since(began) > 11*time.Second {
			t.Errorf("%s ended after %v of stress", name, time.Since(began))
		}
		for range 7 {
			if name := <-ended; name != "outside" {
				t.Errorf("%s ended", name)
			}
		}
		_ = inside.Close()
		<-ended
	})
}

// A client that pipelines and never reads stops being read: its answers do not pile
// up, and the write deadline ends it.
//
// Covers HR3.
func TestClientThatNeverReads(t *testing.T) {
	for _, command := range []string{"NOOP\r\n", "RETR 1\r\n", "LIST\r\n"} {
		h := newHouse("user", "Subject: one\r\n\r\n"+strings.Repeat("text\r\n", 50_000))
		inBubble(t, &pop3.Options{}, h, func(t *testing.T, p *pipes) {
			nc := p.dial()
			if _, err := io.ReadFull(nc, make([]byte, len("+OK mx.example POP3 postrider\r\n"))); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(nc, enter); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(nc, make([]byte, len("+OK Say PASS\r\n+OK\r\n"))); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			n, err := nc.Write([]byte(strings.Repeat(command, 100_000)))
			if took := time.Since(began); err == nil || n > 64<<10 || took < 59*time.Second || took > 62*time.Second {
				t.Errorf("%q: %d octets were taken in %v, %v", command, n, took, err)
			}
			_ = nc.Close()
		})
	}
}

// A panic ends its session and no other, is told of, and the maildrop is free again.
func TestPanic(t *testing.T) {
	h := newHouse("user")
	inBubble(t, &pop3.Options{Exclusive: true}, h, func(t *testing.T, p *pipes) {
		if got := converse(p, "USER panic\r\nPASS x\r\n"); got[len(got)-1] != "-ERR [SYS/TEMP] Internal error, come back later" {
			t.Errorf("%q", got)
		}
		if got := converse(p, enter+"QUIT\r\n"); got[len(got)-1] != "+OK Bye" {
			t.Errorf("%q", got)
		}
	})
	if h.events[0].Kind != pop3.Panicked || h.events[0].Panic == nil || len(h.events[0].Stack) == 0 {
		t.Errorf("%+v", h.events[0])
	}
}
