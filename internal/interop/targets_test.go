//go:build interop

package interop

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"postrider/bench/load"
	"postrider/bench/sink"
	"postrider/bench/target"
	"postrider/internal/dns/dnstest"
)

// relayTargets are the servers that hand mail on.
func relayTargets() []string {
	return []string{"postrider", "postfix", "postfix:isp", "exim", "exim:isp", "opensmtpd", "opensmtpd:isp"}
}

// Every server that postbench can measure starts, takes mail, hands it on, says
// truly what it still has, loses nothing by being killed, and is gone at the end.
func TestTargets(t *testing.T) {
	for i, name := range relayTargets() {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // what takes long is that servers wait
			t.Run("delivers", func(t *testing.T) { targetDelivers(t, name) })
			t.Run("suspended", func(t *testing.T) { targetSuspended(t, name) })
			t.Run("lmtp", func(t *testing.T) { targetToLMTP(t, name) })
			if name != "postrider" { // which does not look for an MX yet
				t.Run("dns", func(t *testing.T) { targetByDNS(t, name, byte(100+i)) })
			}
		})
	}
}

// Without a control group the processes of a server are found by their parents:
// none is missed, be it that these have just been killed.
func TestTargetWithoutGroup(t *testing.T) {
	s, hop := ourSink(t)
	tg, err := target.Parse("postfix", target.Options{NoGroup: true})
	if err != nil {
		t.Fatal(err)
	}
	in, err := tg.Start(t.Context(), target.Need{Dir: sharedDir(t), NextHop: hop})
	if err != nil {
		t.Fatal(err)
	}
	for n := int64(1); n <= 2; n++ {
		send(t, in.SMTP(), 20)
		awaitMessages(t, s, n*20)
		awaitQueued(t, in, 0)
		sample, err := in.Meter().Sample()
		if err != nil || sample.CPU() == 0 || sample.Processes < 5 {
			t.Errorf("%+v, %v", sample, err)
		}
		pids := in.PIDs()
		if err := in.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustBeGone(t, in, pids)
		if err := in.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	pids := in.PIDs()
	if err := in.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustBeGone(t, in, pids)
}

func targetDelivers(t *testing.T, name string) {
	s, hop := ourSink(t)
	in := startTarget(t, name, target.Need{NextHop: hop, TLS: true})
	before, err := in.Meter().Sample()
	if err != nil {
		t.Fatal(err)
	}
	send(t, in.SMTP(), 50)
	awaitMessages(t, s, 50)
	awaitQueued(t, in, 0)
	if after, err := in.Meter().Sample(); err != nil || after.CPU() <= before.CPU() {
		t.Errorf("CPU %v, then %v (%v)", before.CPU(), after.CPU(), err)
	}
	if err := in.Reload(t.Context()); err != nil && !errors.Is(err, target.ErrUnsupported) {
		t.Error(err)
	}

	pids := in.PIDs()
	if len(pids) == 0 {
		t.Error("no processes")
	}
	if err := in.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustBeGone(t, in, pids)
	if err := in.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	send(t, in.SMTP(), 20)
	awaitMessages(t, s, 70)
	awaitQueued(t, in, 0)
	if err := in.Restart(t.Context()); err != nil { // of one that runs
		t.Fatal(err)
	}
	pids = in.PIDs()
	if err := in.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustBeGone(t, in, pids)
}

// targetToLMTP hands mail to a next hop that speaks LMTP.
func targetToLMTP(t *testing.T, name string) {
	s, hop := serveSink(t, "127.0.0.1:0", sink.Options{LMTP: true})
	in := startTarget(t, name, target.Need{NextHop: hop, HopLMTP: true})
	send(t, in.SMTP(), 20)
	awaitMessages(t, s, 20)
	awaitQueued(t, in, 0)
}

// targetByDNS lets the server find the next hop by its resolver. The last byte of
// the addresses is the test's own.
func targetByDNS(t *testing.T, name string, last byte) {
	mx := netip.AddrFrom4([4]byte{127, 77, 1, last})
	s, _ := serveSink(t, netip.AddrPortFrom(mx, 25).String(), sink.Options{})
	resolver := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 77, 0, last}), 53).String()
	names := dnstest.New(dnstest.Options{})
	for _, domain := range []string{"a.bench.test", "b.bench.test"} {
		names.AddMail(domain, dnstest.MX{Preference: 10, Host: "mx.bench.test", Addrs: []netip.Addr{mx}})
	}
	serveNames(t, names, resolver)
	in := startTarget(t, name, target.Need{DNS: resolver})
	send(t, in.SMTP(), 20)
	awaitMessages(t, s, 20)
	awaitQueued(t, in, 0)
	if n := names.Counts().MX; n == 0 {
		t.Error("nobody asked for an MX")
	}
}

func targetSuspended(t *testing.T, name string) {
	s, hop := ourSink(t)
	need := target.Need{NextHop: hop, Suspended: true}
	if !strings.HasPrefix(name, "opensmtpd") { // whose schedule cannot be set
		need.RetryFirst = 2 * time.Second
	}
	in := startTarget(t, name, need)
	send(t, in.SMTP(), 50)
	awaitQueued(t, in, 50)
	if err := in.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := in.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitQueued(t, in, 50)
	if n := s.Counts().Messages; n != 0 {
		t.Fatalf("%d messages came while delivery was suspended", n)
	}
	if err := in.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitMessages(t, s, 50)
	awaitQueued(t, in, 0)
}

// Dovecot keeps what LMTP brings, through a kill, and gives it out by POP3 and
// IMAP.
func TestTargetDovecot(t *testing.T) {
	in := startTarget(t, "dovecot", target.Need{Mailboxes: 3, TLS: true})
	fill := func(n int64) {
		g, err := load.New(load.Options{Address: in.LMTP(), LMTP: true, Conns: 3, Messages: n, Users: 3, Domains: load.DomainList("mail.bench.test")})
		if err != nil {
			t.Fatal(err)
		}
		if r := g.Run(t.Context()); r.Accepted != n || r.Err != nil {
			t.Fatalf("%d of %d accepted: %v", r.Accepted, n, r.Err)
		}
	}
	count := func() (n int) {
		for user := range 3 {
			name := "u" + strconv.Itoa(user) + "@mail.bench.test"
			pop := converse(t, in.POP3(), "USER "+name, "PASS secret", "STAT")
			if !strings.HasPrefix(pop, "+OK ") {
				t.Fatalf("STAT: %q", pop)
			}
			messages, _ := strconv.Atoi(strings.Fields(pop)[1])
			n += messages
			imap := converse(t, in.IMAP(), "a LOGIN "+name+" secret")
			if !strings.HasPrefix(imap, "a OK") && !strings.HasPrefix(imap, "* CAPABILITY") {
				t.Errorf("LOGIN: %q", imap)
			}
		}
		return n
	}
	fill(30)
	awaitQueued(t, in, 0)
	if n := count(); n != 30 {
		t.Errorf("%d messages in the mailboxes, want 30", n)
	}
	if err := in.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	pids := in.PIDs()
	if err := in.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustBeGone(t, in, pids)
	if err := in.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	fill(6)
	if n := count(); n != 36 {
		t.Errorf("%d messages in the mailboxes after a kill, want 36", n)
	}
	pids = in.PIDs()
	if err := in.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustBeGone(t, in, pids)
}
