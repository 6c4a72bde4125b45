package outbound_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"postrider/internal/mail"
	"postrider/relay/outbound"
)

// A message that a server can't take for lack of an extension goes to another of
// the site, and is failed only when none has it.
// Covers D16, R18.
func TestElsewhere(t *testing.T) {
	ca := newAuthority(t)
	eight := &text{data: []byte("Subject: x\r\n\r\n\xc3\xa9\r\n")}
	plain := func() *mail.Delivery { return delivery(&hello, "s@x", "a@y") }
	wide := func() *mail.Delivery { return delivery(eight, "s@x", "a@y") }
	with := func(d *mail.Delivery, change func(*mail.Envelope)) *mail.Delivery { change(d.Envelope); return d }
	utf8 := func(e *mail.Envelope) { e.SMTPUTF8 = true }
	secret := func(e *mail.Envelope) { e.RequireTLS = true }
	named := mail.TLSPolicy{Level: mail.TLSVerify}
	const (
		ok    = "250 2.0.0 taken (sent)\n"
		none8 = "550 5.6.3 message has 8-bit text and the next hop takes none\n"
		noneU = "550 5.6.7 message needs SMTPUTF8 and the next hop has it not\n"
	)
	for _, c := range []struct {
		name    string
		ways    []string // of hosts a, b, c; "20 " before one is its preference, else 10
		policy  mail.TLSPolicy
		list    []*mail.Delivery
		want    string
		remotes string // where they ended
		left    int    // not pulled
		said    string // a line of the last dialogue
		err     bool
	}{
		{
			name: "another host", ways: []string{"SIZE", "8BITMIME"},
			list: []*mail.Delivery{plain(), wide(), plain()}, want: ok + ok + ok, remotes: "a b b",
		},
		{
			name: "a worse host serves no other", ways: []string{"SIZE", "20 8BITMIME"},
			list: []*mail.Delivery{plain(), wide(), plain()}, want: ok + ok + "-\n", remotes: "a b", left: 1,
		},
		{
			name: "the first message", ways: []string{"SIZE", "refuse", "8BITMIME"},
			list: []*mail.Delivery{wide()}, want: ok, remotes: "c",
		},
		{
			name: "none", ways: []string{"SIZE", "SIZE", "20 SIZE"},
			list: []*mail.Delivery{wide(), plain()}, want: none8 + "-\n", remotes: "c", left: 1,
		},
		{
			name: "none, of one preference", ways: []string{"SIZE", "SIZE", "SIZE"},
			list: []*mail.Delivery{wide(), plain(), wide()}, want: none8 + ok + none8, remotes: "c c b",
		},
		{name: "alone", ways: []string{"SIZE"}, list: []*mail.Delivery{wide()}, want: none8, remotes: "a"},
		{
			name: "the other can't be reached", ways: []string{"SIZE", "refuse"},
			list: []*mail.Delivery{wide()}, want: "451 4.4.1 connection refused by the next hop\n", remotes: "a",
		},
		{
			name: "the other wants nothing", ways: []string{"SIZE", "554 go away"},
			list: []*mail.Delivery{wide()}, want: "451 4.4.1 no answer from the hosts that may be able to take the message\n", remotes: "a",
		},
		{
			name: "two needs", ways: []string{"8BITMIME", "SMTPUTF8"},
			list: []*mail.Delivery{with(delivery(&hello, "s@x", "\u00fc@y"), utf8), wide()}, want: ok + ok, remotes: "b a",
		},
		{
			name: "domains alone need nothing", ways: []string{"SIZE", "SMTPUTF8"},
			list: []*mail.Delivery{with(delivery(&hello, "s@\u00e9.x", "a@\u00fc.y"), utf8)}, want: ok, remotes: "a",
			said: "RCPT TO:<a@xn--tda.y>",
		},
		{
			name: "one of two", ways: []string{"SIZE", "SIZE"},
			list: []*mail.Delivery{with(delivery(&hello, "s@x", "\u00fc@y", "a@y"), utf8)},
			want: strings.TrimSpace(noneU) + ", " + ok, remotes: "b",
		},
		{
			name: "required", ways: []string{"STARTTLS", "STARTTLS REQUIRETLS"}, policy: named,
			list: []*mail.Delivery{with(plain(), secret)}, want: ok, remotes: "b", said: "MAIL FROM:<s@x> REQUIRETLS",
		},
		{
			name: "required, not offered", ways: []string{"STARTTLS", "STARTTLS"}, policy: named,
			list: []*mail.Delivery{with(plain(), secret)}, want: "550 5.7.30 message demands REQUIRETLS and the next hop has it not\n", remotes: "b",
		},
		{
			name: "required, in clear", ways: []string{"REQUIRETLS"},
			list: []*mail.Delivery{with(plain(), secret), plain()}, remotes: "a a",
			want: "550 5.7.10 message demands encryption for a next hop that has proved who it is\n" + ok,
		},
		{
			name: "required, name from an unsigned answer", ways: []string{"STARTTLS REQUIRETLS"},
			list: []*mail.Delivery{with(plain(), secret)}, remotes: "a",
			want: "550 5.7.10 message demands encryption for a next hop that has proved who it is\n",
		},
		{
			name: "required, handshake broken", ways: []string{"STARTTLS REQUIRETLS !reset"},
			list: []*mail.Delivery{with(plain(), secret)}, remotes: "a",
			want: "451 4.7.10 message demands encryption and the next hop fails at it\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &farm{hosts: map[string]string{}, tls: ca.server("a.example", "b.example", "c.example")}
				var list []string
				for i, way := range c.ways {
					host, address, preference := string(rune('a'+i)), "192.0.2."+string(rune('1'+i)), "10"
					if w, found := strings.CutPrefix(way, "20 "); found {
						way, preference = w, "20"
					}
					f.hosts[address] = way
					list = append(list, host+".example "+address+" "+preference)
				}
				src := newSource(t, c.list...)
				ups := 0
				eg := &mail.Egress{Hop: mx, TLS: c.policy, Targets: targets(list...), Heard: func(h mail.Hearing) {
					if h.Connect {
						ups++
					}
				}}
				o := outbound.Options{Connect: f.connect, Timeouts: quick, Roots: ca.pool}
				if err := outbound.New(o).Serve(t.Context(), nil, eg, src); err != nil {
					t.Error(err)
				}
				f.wg.Wait()
				src.settled()
				if ups != 1 {
					t.Errorf("heard of %d connections that came up", ups)
				}
				if got := outcomes(c.list...); got != c.want {
					t.Errorf("outcomes\n%snot\n%s", got, c.want)
				}
				var remotes []string
				for _, d := range c.list[:src.next] {
					remotes = append(remotes, d.Remote.Host[:1])
				}
				if got := strings.Join(remotes, " "); got != c.remotes || len(c.list)-src.next != c.left {
					t.Errorf("ended at %q, not %q; %d left", got, c.remotes, len(c.list)-src.next)
				}
				if c.said != "" && !slices.Contains(f.said, c.said) {
					t.Errorf("said %q, not %q", f.said, c.said)
				}
			})
		})
	}
}
