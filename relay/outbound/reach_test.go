package outbound_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/mail"
	"postrider/relay/outbound"
)

// farm is a net of fake hosts in a bubble's time, each at an address and with a
// way to behave:
//
//	refuse       no connection
//	hole         no answer to the dial
//	slow         the connection stands after 100 ms
//	"554 text"   such a greeting
//	lost         a connection that ends before the greeting
//	anything else: it takes mail, and offers those words in EHLO, "_" for " "
//
// Words with "!" say what comes of STARTTLS: !reset, !stall, !inject, !454.
type farm struct {
	hosts map[string]string
	tls   *tls.Config

	mu     sync.Mutex // guards following
	dials  []string
	wg     sync.WaitGroup
	greets []string // what was said in EHLO
	said   []string // commands and texts, since the last EHLO
}

func (f *farm) connect(ctx context.Context, _, address string) (net.Conn, error) {
	host := netip.MustParseAddrPort(address).Addr().String()
	f.mu.Lock()
	f.dials = append(f.dials, host)
	f.mu.Unlock()
	way := f.hosts[host]
	switch way {
	case "refuse":
		return nil, syscall.ECONNREFUSED
	case "hole":
		<-ctx.Done()
		return nil, ctx.Err()
	case "slow":
		after := time.NewTimer(100 * time.Millisecond)
		defer after.Stop()
		select {
		case <-after.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	ours, theirs := wire(0)
	f.wg.Go(func() {
		switch {
		case way == "lost":
			_ = theirs.Close()
		case way != "" && way[0] >= '2' && way[0] <= '5':
			_, _ = io.WriteString(theirs, way+"\r\n")
			_, _ = io.Copy(io.Discard, theirs)
			_ = theirs.Close()
		default:
			f.take(theirs, way)
		}
	})
	return ours, nil
}

// take serves, a command at a time.
func (f *farm) take(conn net.Conn, way string) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	say := func(s string) { _, _ = io.WriteString(conn, s+"\r\n") }
	say("220 x")
	for text := false; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		f.note(line)
		switch {
		case text:
			if text = line != "."; !text {
				say("250 2.0.0 taken")
			}
		case strings.HasPrefix(line, "EHLO"):
			say("250-x")
			for w := range strings.FieldsSeq(way) {
				if w[0] != '!' {
					say("250-" + strings.ReplaceAll(w, "_", " "))
				}
			}
			say("250 HELP")
		case line == "STARTTLS":
			switch {
			case strings.Contains(way, "!454"):
				say("454 4.7.0 not now")
				continue
			case strings.Contains(way, "!inject"):
				say("220 go\r\n250-injected\r\n250 AUTH PLAIN")
			default:
				say("220 go")
			}
			if strings.Contains(way, "!reset") {
				return
			}
			if strings.Contains(way, "!stall") {
				_, _ = io.Copy(io.Discard, conn)
				return
			}
			conn = tls.Server(conn, f.tls)
			in.Reset(conn)
		case line == "DATA":
			text = true
			say("354 go")
		default:
			say("250 2.1.0 ok")
		}
	}
}

func (f *farm) note(line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if strings.HasPrefix(line, "EHLO") {
		f.greets = append(f.greets, line)
		f.said = nil
	}
	f.said = append(f.said, line)
}

// heard writes hearings, one word each.
func heard(list []mail.Hearing) string {
	var b strings.Builder
	for i, h := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(h.Target.Host)
		if h.Connect {
			b.WriteString(" up")
			continue
		}
		fmt.Fprintf(&b, " %s/%s", h.Status, h.Class)
	}
	return b.String()
}

// targets parses "host address preference".
func targets(list ...string) []mail.Target {
	var out []mail.Target
	for _, l := range list {
		var t mail.Target
		var addr string
		if _, err := fmt.Sscan(l, &t.Host, &addr, &t.Preference); err != nil {
			panic(err)
		}
		t.Addr = netip.AddrPortFrom(netip.MustParseAddr(addr), 25)
		out = append(out, t)
	}
	return out
}

var mx = mail.Hop{Kind: mail.HopMX}

// What a target does decides whether the next one is tried.
// Covers D12.
func TestTargets(t *testing.T) {
	const refused = "451 4.4.1 connection refused by the next hop/refused"
	for _, c := range []struct {
		name    string
		hosts   map[string]string
		targets []string
		heard   string
		err     string // the phase; "": delivered
		said    bool
		after   time.Duration
	}{
		{
			name: "refused", hosts: map[string]string{"192.0.2.1": "refuse"},
			targets: []string{"a 192.0.2.1 10", "b 192.0.2.2 20"},
			heard:   "a " + refused + ", b up",
		},
		{
			name: "554", hosts: map[string]string{"192.0.2.1": "554 5.7.1 go away"},
			targets: []string{"a 192.0.2.1 10", "b 192.0.2.2 20"},
			heard:   "a 554 5.7.1 go away/, b up",
		},
		{
			name: "521", hosts: map[string]string{"192.0.2.1": "521 no mail here"}, // RFC 7504
			targets: []string{"a 192.0.2.1 10", "b 192.0.2.2 20"},
			heard:   "a 521 5.0.0 no mail here/, b up",
		},
		{
			name: "lost", hosts: map[string]string{"192.0.2.1": "lost"},
			targets: []string{"a 192.0.2.1 10", "b 192.0.2.2 20"},
			heard:   "a 451 4.4.2 connection to the next hop lost/refused, b up",
		},
		{
			name: "never after 421", hosts: map[string]string{"192.0.2.1": "421 4.7.0 too many"},
			targets: []string{"a 192.0.2.1 10", "b 192.0.2.2 10"},
			heard:   "a 421 4.7.0 too many/", err: "greeting", said: true,
		},
		{
			name: "hole", hosts: map[string]string{"192.0.2.1": "hole"},
			targets: []string{"a 192.0.2.1 10", "b 192.0.2.2 20"},
			heard:   "a 451 4.4.1 no answer from the next hop/timeout, b up", after: 30 * time.Second,
		},
		{
			name: "five addresses", hosts: map[string]string{"192.0.2.1": "refuse"},
			targets: []string{"a 192.0.2.1 1", "b 192.0.2.1 1", "c 192.0.2.1 1", "d 192.0.2.1 1", "e 192.0.2.1 1", "f 192.0.2.2 1"},
			heard:   "a " + refused + ", b " + refused + ", c " + refused + ", d " + refused + ", e " + refused,
			err:     "connect",
		},
		{
			name: "two sessions", hosts: map[string]string{"192.0.2.1": "554 no", "192.0.2.2": "refuse"},
			targets: []string{"a 192.0.2.1 1", "b 192.0.2.2 1", "c 192.0.2.1 1", "d 192.0.2.3 1"},
			heard:   "a 554 5.0.0 no/, b " + refused + ", c 554 5.0.0 no/", err: "greeting", said: true,
		},
		{
			name: "a reply tells more", hosts: map[string]string{"192.0.2.1": "554 no", "192.0.2.2": "refuse"},
			targets: []string{"a 192.0.2.1 1", "b 192.0.2.2 1"},
			heard:   "a 554 5.0.0 no/, b " + refused, err: "greeting", said: true,
		},
		{name: "none", err: "connect"},
		{
			// Covers D14.
			name: "v6 hole", hosts: map[string]string{"2001:db8::1": "hole"},
			targets: []string{"a 2001:db8::1 10", "b 2001:db8::1 10", "a 192.0.2.2 10"},
			heard:   "a up", after: 250 * time.Millisecond,
		},
		{
			// Covers D14.
			name: "the other family has another preference", hosts: map[string]string{"2001:db8::1": "hole"},
			targets: []string{"a 2001:db8::1 10", "b 192.0.2.2 20"},
			heard:   "a 451 4.4.1 no answer from the next hop/timeout, b up", after: 30 * time.Second,
		},
		{
			// Covers D14.
			name: "both holes", hosts: map[string]string{"2001:db8::1": "hole", "192.0.2.2": "refuse"},
			targets: []string{"a 2001:db8::1 10", "a 192.0.2.2 10", "c 192.0.2.3 20"},
			heard:   "a " + refused + ", a 451 4.4.1 no answer from the next hop/timeout, c up", after: 30 * time.Second,
		},
		{
			name: "fast enough", hosts: map[string]string{"2001:db8::1": "slow"},
			targets: []string{"a 2001:db8::1 10", "b 192.0.2.2 10"},
			heard:   "a up", after: 100 * time.Millisecond,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &farm{hosts: c.hosts}
				tr := outbound.New(outbound.Options{Connect: f.connect, Timeouts: quick})
				var got []mail.Hearing
				eg := &mail.Egress{
					Hop: mx, Targets: targets(c.targets...), Source: mail.SourceHost{Name: "pool1", Hello: "out.example"},
					Heard: func(h mail.Hearing) {
						h.Status.Text = append([]byte(nil), h.Status.Text...)
						got = append(got, h)
					},
				}
				d := delivery(&hello, "s@x", "a@y")
				began := time.Now()
				err := tr.Serve(t.Context(), nil, eg, newSource(t, d))
				if took := time.Since(began); took < c.after || took > c.after+100*time.Millisecond {
					t.Errorf("took %v, not %v", took, c.after)
				}
				f.wg.Wait()
				if h := heard(got); h != c.heard {
					t.Errorf("heard %q\n  not %q", h, c.heard)
				}
				checkError(t, err, c.err)
				if c.err != "" {
					if e, ok := err.(*outbound.Error); ok && e.Said != c.said {
						t.Errorf("said %v", e.Said)
					}
					if o := outcomes(d); o != "-\n" {
						t.Errorf("outcome %q", o)
					}
					return
				}
				up := got[len(got)-1].Target
				if r := d.Remote; r.Host != up.Host || r.Addr != up.Addr || r.Source != "pool1" {
					t.Errorf("remote %+v, target %+v", r, up)
				}
				if !d.Outcomes[0].OK() || f.greets[0] != "EHLO out.example" {
					t.Errorf("outcome %v, greeted %q", d.Outcomes[0], f.greets)
				}
			})
		})
	}
}

// A source whose IPv6 does not get through dials IPv4 first for a while, and
// other sources do not mind.
// Covers D14.
func TestBrokenV6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &farm{hosts: map[string]string{"2001:db8::1": "hole"}}
		tr := outbound.New(outbound.Options{Connect: f.connect, Timeouts: quick})
		first := func(source string) string {
			f.dials = nil
			eg := &mail.Egress{Hop: mx, Targets: targets("a 2001:db8::1 10", "a 192.0.2.1 10"), Source: mail.SourceHost{Name: source}}
			if err := tr.Serve(t.Context(), nil, eg, newSource(t, delivery(&hello, "s@x", "a@y"))); err != nil {
				t.Fatal(err)
			}
			f.wg.Wait()
			return f.dials[0]
		}
		for range 3 {
			if got := first("one"); got != "2001:db8::1" {
				t.Fatalf("first %s", got)
			}
		}
		if got := first("one"); got != "192.0.2.1" {
			t.Errorf("after three failures first %s", got)
		}
		if got := first("two"); got != "2001:db8::1" {
			t.Errorf("another source: first %s", got)
		}
		later := time.NewTimer(time.Hour)
		<-later.C
		f.hosts = nil // it works again
		for range 2 {
			if got := first("one"); got != "2001:db8::1" {
				t.Errorf("later first %s", got)
			}
		}
	})
}

// A connection comes from the address of its source, which must be one of ours.
func TestSource(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	from := make(chan netip.Addr, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		from <- conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
		(&farm{}).take(conn, "")
	})
	defer wg.Wait()
	defer func() { _ = l.Close() }()
	eg := &mail.Egress{
		Hop:     mx,
		Targets: []mail.Target{{Host: "peer", Addr: l.Addr().(*net.TCPAddr).AddrPort()}},
		Source:  mail.SourceHost{V4: netip.MustParseAddr("127.0.0.7"), V6: netip.MustParseAddr("2001:db8::7")},
	}
	d := delivery(&hello, "s@x", "a@y")
	if err := outbound.New(outbound.Options{Timeouts: quick}).Serve(t.Context(), nil, eg, newSource(t, d)); err != nil {
		t.Fatal(err)
	}
	if got := <-from; got != eg.Source.V4 {
		t.Errorf("came from %v", got)
	}
	eg.Source.V4 = netip.MustParseAddr("192.0.2.77")
	err = outbound.New(outbound.Options{Timeouts: quick}).Serve(t.Context(), nil, eg, newSource(t, d))
	if e, ok := err.(*outbound.Error); !ok || e.Status.Enhanced != (mail.Enhanced{Class: 4, Subject: 3, Detail: 5}) {
		t.Errorf("from a foreign address: %v", err)
	}
}
