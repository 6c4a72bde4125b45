package sink_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"postrider/bench/ledger"
	"postrider/bench/sink"
)

// read makes values of texts that are right.
func read[T any](parse func(string) (T, error)) func(string) T {
	return func(text string) T {
		v, err := parse(text)
		if err != nil {
			panic(err)
		}
		return v
	}
}

func set(text string) sink.DomainSet { return read(sink.ParseDomainSet)(text) }
func window(text string) sink.Window { return read(sink.ParseWindow)(text) }
func delay(text string) sink.Delay   { return read(sink.ParseDelay)(text) }

// startFarm runs a farm of d0 to d9.bench.test for the time of a test.
func startFarm(t testing.TB, o sink.FarmOptions, sites ...sink.Site) *sink.Farm {
	t.Helper()
	var domains []string
	for i := range 10 {
		domains = append(domains, fmt.Sprintf("d%d.bench.test", i))
	}
	return serveFarm(t, o, domains, sites...)
}

// serveFarm runs a farm for the time of a test.
func serveFarm(t testing.TB, o sink.FarmOptions, domains []string, sites ...sink.Site) *sink.Farm {
	t.Helper()
	f, err := sink.NewFarm(o, domains, sites)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return f
}

// client is one connection that says a line and reads the reply.
type client struct {
	t    testing.TB
	conn net.Conn
	in   *textproto.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if errors.Is(err, syscall.ECONNRESET) { // so soon
		gone, other := net.Pipe()
		_ = other.Close()
		return &client{t, gone, textproto.NewReader(bufio.NewReader(gone))}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t, conn, textproto.NewReader(bufio.NewReader(conn))}
}

// say sends lines, each answered before the next, and returns the codes.
func (c *client) say(lines ...string) string {
	c.t.Helper()
	var codes []string
	for _, l := range lines {
		if _, err := io.WriteString(c.conn, l+"\r\n"); err != nil {
			return strings.Join(append(codes, "cut"), " ")
		}
		codes = append(codes, c.reply())
	}
	return strings.Join(codes, " ")
}

func (c *client) reply() string {
	for {
		line, err := c.in.ReadLine()
		switch {
		case err != nil:
			return "cut"
		case len(line) < 4 || line[3] == ' ':
			return line[:min(3, len(line))]
		}
	}
}

// begin is the way to the first recipient.
func (c *client) begin() string {
	return c.reply() + " " + c.say("EHLO x", "MAIL FROM:<s@x>")
}

// text makes a message of a run; its body has the hash unless broken.
func text(run, seq uint64, worker int, intended time.Time) string {
	const body = "body\r\n"
	h := ledger.AppendHeader(nil, ledger.Header{Run: run, Seq: seq, Intended: intended.UnixMicro(), Hash: xxhash.Sum64String(body), Worker: worker})
	return "Received: from x\r\n" + string(h) + "Subject: x\r\n\r\n" + body + "."
}

func front(o sink.FarmOptions) sink.FarmOptions {
	o.Front = "127.0.0.1:0"
	return o
}

const rcpt0 = "RCPT TO:<r0.0@d0.bench.test>"

// What a policy says happens to those it is for and to nobody else, behind one
// address and at addresses of their own.
func TestPolicies(t *testing.T) {
	for name, c := range map[string]struct {
		policy sink.Policy
		say    []string
		want   string // behind one address: replies to say, after the greeting, EHLO and MAIL
		own    string // at its own, from the greeting on; "": 220 250 250 and want
		broken int64  // limits
	}{
		"nothing":        {sink.Policy{}, []string{rcpt0, "DATA", text(1, 0, 0, time.Now())}, "250 354 250", "", 0},
		"reset":          {sink.Policy{Reset: true}, []string{rcpt0}, "cut", "cut", 0},
		"down":           {sink.Policy{Down: []sink.Window{window("0s-24h")}}, []string{rcpt0}, "cut", "cut", 0},
		"down later":     {sink.Policy{Down: []sink.Window{window("23h to 24h")}}, []string{rcpt0}, "250", "", 0},
		"greylist":       {sink.Policy{Greylist: sink.Duration(time.Hour)}, []string{rcpt0, rcpt0}, "451 451", "", 0},
		"passed":         {sink.Policy{Greylist: 1}, []string{rcpt0, rcpt0}, "451 250", "", 0},
		"reply":          {sink.Policy{Reply: []sink.Reply{{At: sink.AtRcpt, Share: 0.5, Text: "550 5.1.1 no"}}}, []string{rcpt0, rcpt0, rcpt0, rcpt0}, "250 550 250 550", "", 0},
		"greeting":       {sink.Policy{Reply: []sink.Reply{{At: sink.AtConnect, Text: "421 no"}}}, []string{rcpt0}, "250", "421 cut", 0},
		"hello":          {sink.Policy{Reply: []sink.Reply{{At: sink.AtHello, Text: "550 no"}}}, []string{rcpt0}, "250", "220 550 503 503", 0},
		"at the end":     {sink.Policy{Reply: []sink.Reply{{At: sink.AtEnd, Text: "451 4.3.0 later"}}}, []string{rcpt0, "DATA", "."}, "250 354 451", "", 0},
		"drop before":    {sink.Policy{DropBefore: 1}, []string{rcpt0, "DATA", text(1, 0, 0, time.Now())}, "250 354 cut", "", 0},
		"drop after":     {sink.Policy{DropAfter: 1}, []string{rcpt0, "DATA", text(1, 0, 0, time.Now())}, "250 354 cut", "", 0},
		"recipients":     {sink.Policy{Limits: sink.Limits{Recipients: 2}}, []string{rcpt0, rcpt0, rcpt0}, "250 250 452", "", 1},
		"messages":       {sink.Policy{Limits: sink.Limits{Messages: 1}}, []string{rcpt0, "DATA", ".", "MAIL FROM:<>", rcpt0}, "250 354 250 250 421", "", 1},
		"rate":           {sink.Policy{Limits: sink.Limits{Rate: 0.001, Burst: 1}}, []string{rcpt0, "RSET", "MAIL FROM:<>", rcpt0, rcpt0}, "250 250 250 450 450", "", 1},
		"size":           {sink.Policy{Limits: sink.Limits{Size: 5}}, []string{"RSET", "MAIL FROM:<x> SIZE=6", rcpt0, "RSET", "MAIL FROM:<x> SIZE=5", rcpt0, "DATA", "12345678\r\n."}, "250 250 552 250 250 250 354 552", "220 250 250 250 552 503 250 250 250 354 552", 0},
		"tls required":   {sink.Policy{TLS: sink.TLSGood, TLSRequired: true}, []string{rcpt0}, "250", "220 250 530 503", 0},
		"address":        {sink.Policy{AddressReplies: true}, []string{"RCPT TO:<450-4.2.1-try-later@d0.bench.test>", rcpt0, "RCPT TO:<250-no@d0.bench.test>"}, "450 250 250", "", 0},
		"everybody else": {sink.Policy{Reset: true}, []string{"RCPT TO:<r0.0@d1.bench.test>", "RCPT TO:<r0.0@unknown.example>"}, "250 250", "cut", 0},
	} {
		t.Run(name, func(t *testing.T) {
			site := sink.Site{Domains: set("d0"), Policy: c.policy}
			f := startFarm(t, front(sink.FarmOptions{}), site)
			cl := dial(t, f.FrontAddr())
			if got := cl.begin() + " " + cl.say(c.say...); got != "220 250 250 "+c.want {
				t.Errorf("behind one address: %s, not %s", got, c.want)
			}
			if got := f.Violations(); got != c.broken {
				t.Errorf("%d violations, not %d", got, c.broken)
			}
			f = startFarm(t, sink.FarmOptions{Spread: true}, site)
			if c.own == "" {
				c.own = "220 250 250 " + c.want
			}
			cl = dial(t, f.Addr("d0.bench.test").String())
			got := cl.reply()
			if got != "cut" {
				got += " " + cl.say(append([]string{"EHLO x", "MAIL FROM:<s@x>"}, c.say...)...)
			}
			if !strings.HasPrefix(got+" ", c.own+" ") || strings.HasPrefix(c.own, "220") && got != c.own {
				t.Errorf("at its own address: %s, not %s", got, c.own)
			}
			if got := f.Violations(); got != c.broken {
				t.Errorf("%d violations at its own address, not %d", got, c.broken)
			}
		})
	}
}

// A black hole takes connections and says nothing, while others are served; so does
// one behind the common address from the first recipient on.
func TestBlackhole(t *testing.T) {
	f := startFarm(t, front(sink.FarmOptions{Spread: true}), sink.Site{Domains: set("d0"), Policy: sink.Policy{Blackhole: true}})
	for _, c := range []*client{dial(t, f.Addr("d0.bench.test").String()), dial(t, f.FrontAddr())} {
		if c.conn.RemoteAddr().String() == f.FrontAddr() {
			c.begin()
			_, _ = io.WriteString(c.conn, rcpt0+"\r\n")
		}
		other := dial(t, f.Addr("d1.bench.test").String())
		if got := other.begin(); got != "220 250 250" {
			t.Error(got)
		}
		_ = c.conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		var timeout net.Error
		if _, err := c.conn.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("it says something: %v", err)
		}
	}
}

// A tarpit sends a byte at a time, and latency comes before the reply: neither is
// too short.
func TestSlow(t *testing.T) {
	f := startFarm(t, front(sink.FarmOptions{}), sink.Site{Domains: set("d0"), Policy: sink.Policy{Tarpit: sink.Duration(time.Millisecond)}},
		sink.Site{Domains: set("d1"), Policy: sink.Policy{Latency: sink.Latencies{Rcpt: delay("30ms"), Data: delay("uniform:10ms-11ms")}}})
	for rcpt, least := range map[string]time.Duration{"RCPT TO:<a@d0.bench.test>": 20 * time.Millisecond, "RCPT TO:<a@d1.bench.test>": 40 * time.Millisecond} {
		c := dial(t, f.FrontAddr())
		c.begin()
		began := time.Now()
		if got := c.say(rcpt, "DATA"); got != "250 354" || time.Since(began) < least {
			t.Errorf("%s: %s after %v", rcpt, got, time.Since(began))
		}
	}
}
