package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"postrider/bench/sink"
	"postrider/internal/dns/dnstest"
)

// internet is a name server and mail exchangers on loopback, for a sender of our own
// whose notices are kept.
type internet struct {
	farm   *sink.Farm
	dns    *dnstest.Server
	sender *postbox
	port   uint16
}

// newInternet has exchangers of tls.test, which offers TLS with a certificate that
// nobody knows, and of never.test, which knows no recipient.
func newInternet(t *testing.T) *internet {
	t.Helper()
	n := &internet{sender: newPostbox(t), dns: dnstest.New(dnstest.Options{})}
	home := netip.MustParseAddrPort(n.sender.addr)
	n.port = home.Port()
	var sites []sink.Site
	for domain, p := range map[string]sink.Policy{
		"tls.test":   {TLS: sink.TLSSelfSigned},
		"never.test": {Reply: []sink.Reply{{At: sink.AtRcpt, Text: "550 5.1.1 nobody of that name"}}},
	} {
		set, err := sink.ParseDomainSet(domain)
		if err != nil {
			t.Fatal(err)
		}
		sites = append(sites, sink.Site{Domains: set, Policy: p})
	}
	var err error
	// Everybody's exchangers are at one port.
	n.farm, err = sink.NewFarm(sink.FarmOptions{Spread: true, First: netip.MustParseAddr("127.77.0.1"), Port: int(n.port)}, []string{"tls.test", "never.test"}, sites)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.farm.Listen(); err != nil {
		t.Fatal(err)
	}
	if _, err := n.dns.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	good := []netip.Addr{n.farm.Addr("tls.test").Addr()}
	n.dns.AddMail("tls.test",
		dnstest.MX{Preference: 30, Host: "spare.tls.test", Addrs: []netip.Addr{home.Addr()}},
		dnstest.MX{Preference: 20, Host: "mx.tls.test", Addrs: good},
		dnstest.MX{Preference: 10, Host: "down.tls.test", Addrs: []netip.Addr{netip.MustParseAddr("127.78.0.1")}})
	n.dns.AddMail("never.test", dnstest.MX{Preference: 10, Host: "mx.never.test", Addrs: []netip.Addr{n.farm.Addr("never.test").Addr()}})
	n.dns.AddMail("old.test", dnstest.MX{Preference: 10, Host: "mx.old.test", Addrs: []netip.Addr{home.Addr()}}) // it knows no DSN
	n.dns.AddMail("example.org")                                                                                 // its own address is its exchanger
	n.dns.AddHost("example.org", home.Addr())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- n.farm.Serve(ctx) }()
	go func() { ended <- n.dns.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return n
}

// event returns the one event with all of parts.
func (a *appliance) event(parts ...string) map[string]any {
	a.t.Helper()
	lines := a.events(parts...)
	if len(lines) != 1 {
		a.t.Fatalf("%d events with %q:\n%s", len(lines), parts, strings.Join(a.events(), ""))
	}
	var e map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &e); err != nil {
		a.t.Fatal(err)
	}
	return e
}

// scrape returns the metrics.
func (a *appliance) scrape() string {
	a.t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(a.dir, "data", "admin.sock"))
	}}}
	resp, err := c.Get("http://localhost/metrics")
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(text)
}

// has fails unless an event says so.
func has(t *testing.T, e map[string]any, want map[string]string) {
	t.Helper()
	for key, value := range want {
		if got := fmt.Sprint(e[key]); got != value {
			t.Errorf("%v: %s is %q, want %q", e["ev"], key, got, value)
		}
	}
}

// Mail finds its way by MX records past an exchanger that is down, is encrypted
// where that is offered, and its sender is told what became of it. All that the log
// has of that is under the id of the 250 reply, and says how each connection was
// protected.
//
// Covers S6, O2, T1.
func TestMailGoesByMX(t *testing.T) {
	n := newInternet(t)
	a := start(t, relayListener+fmt.Sprintf(`[dns]
servers = [%q]
[outbound]
port = %d
allow_private_targets = ["127.0.0.0/8"]
`, n.dns.Addr(), n.port))
	c := a.dial("127.0.0.1").hello()
	good := c.send("Subject: x\r\n\r\nbody", "bob@tls.test")
	c.want("MAIL FROM:<sender@example.org> RET=HDRS ENVID=order-17", "250 ")
	c.want("RCPT TO:<dave@old.test> NOTIFY=SUCCESS,FAILURE", "250 ")
	c.want("DATA", "354")
	asked := strings.TrimPrefix(c.want("Subject: x\r\n\r\nbody\r\n.", "250 2.0.0 queued as "), "250 2.0.0 queued as ")
	bad := c.send("Subject: y\r\n\r\nbody", "carol@never.test")
	await(t, "all has ended, and a message and two notices are there", func() bool {
		n.sender.mu.Lock()
		defer n.sender.mu.Unlock()
		return len(n.sender.got) == 3 && a.Engine().Queue().Counts().Recipients == 0
	})
	figures := a.scrape()
	a.stop()

	has(t, a.event(`"ev":"delivered"`, `"id":"`+good), map[string]string{
		"rid": "1", "to": "bob@tls.test", "mx": "mx.tls.test", "ip": n.farm.Addr("tls.test").Addr().String(),
		"tls": "TLSv1.3", "tls_policy": "may", "tls_verdict": "untrusted", "code": "250", "attempt": "1", "class": "<nil>", "cmd": "data",
	})
	if site := fmt.Sprint(a.event(`"ev":"delivered"`, `"id":"`+good)["site"]); !strings.HasPrefix(site, "down.tls.test") {
		t.Errorf("the site is %q", site)
	}
	has(t, a.event(`"ev":"failed"`, `"id":"`+bad), map[string]string{
		"to": "carol@never.test", "mx": "mx.never.test", "ip": n.farm.Addr("never.test").Addr().String(),
		"tls": "<nil>", "tls_policy": "may", "tls_verdict": "clear", "code": "550", "enh": "5.1.1", "attempt": "1", "class": "no_user", "cmd": "rcpt",
	})
	for id, want := range map[string]struct{ kind, action, site string }{
		asked: {"relayed", "relayed", "mx.old.test"}, bad: {"failure", "failed", "mx.never.test"},
	} {
		for _, line := range a.events(`"id":"`+id, `"rid":`) {
			if !strings.Contains(line, `"site":"`+want.site) && !strings.Contains(line, `"ev":"bounced"`) {
				t.Errorf("another site than %s: %s", want.site, line)
			}
		}
		notice := a.event(`"ev":"dsn"`, `"of":"`+id)
		has(t, notice, map[string]string{"kind": want.kind, "to": "sender@example.org"})
		its := fmt.Sprint(notice["id"])
		has(t, a.event(`"ev":"delivered"`, `"id":"`+its), map[string]string{"from": "", "to": "sender@example.org", "mx": "example.org"})
		text := n.sender.letter(its)
		for _, part := range []string{"Action: " + want.action, " id " + id} {
			if !strings.Contains(text, part) {
				t.Errorf("the %s notice lacks %q:\n%s", want.kind, part, text)
			}
		}
	}
	for _, want := range []string{
		`postrider_tls_out_total{policy="may",verdict="untrusted"} 1`, `postrider_tls_out_total{policy="may",verdict="clear"} `,
		`postrider_notices_total{kind="relayed",result="queued"} 1`, `postrider_notices_total{kind="failure",result="queued"} 1`,
		`postrider_dns_cache_total{result="miss"} `, `postrider_recipients_final_total{result="bounced"} 1`,
	} {
		if !strings.Contains(figures, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if strings.Contains(figures, `postrider_tls_out_total{policy="may",verdict="clear"} 0`) {
		t.Error("connections in clear are not counted")
	}
}

// letter returns the text of the message that was queued under an id.
func (p *postbox) letter(id string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.got {
		if strings.Contains(p.got[i].text, id) {
			return p.got[i].text
		}
	}
	return ""
}
