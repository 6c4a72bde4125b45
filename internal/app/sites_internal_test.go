package app

import (
	"net/netip"
	"testing"

	"postrider/internal/config"
	"postrider/relay/schedule"
	"postrider/relay/site"
)

// A limit that names a provider or a source alone is shared, and comes before the
// providers' file; any other is the lane's.
//
// Covers D6, T10.
func TestLimitsAreSortedByWhatTheyAreFor(t *testing.T) {
	cfg := config.Default()
	cfg.Outbound.MessagesPerConnection = 50
	cfg.Caps = []config.Cap{
		{Provider: "told", Connections: 3},
		{Source: "a", MessagesPerSecond: 7},
		{Site: "mx.x.example", Connections: 2},
		{Site: "mx.x.example", Source: "a", Connections: 1, MessagesPerConnection: 5},
	}
	sites := &site.Options{Providers: []site.Provider{
		{Name: "told", Caps: site.Caps{Connections: 40, MessagesPerSecond: 2}},
		{Name: "filed", Caps: site.Caps{Connections: 1, MessagesPerSecond: 2, MessagesPerConnection: 20, RecipientsPerTransaction: 10}},
	}}
	l := limitsFor(cfg, sites)
	for name, want := range map[string]schedule.Caps{
		"told":  {Connections: 3},
		"filed": {Connections: 1, MessagesPerSecond: 2, MessagesPerConnection: 20, RecipientsPerTransaction: 10},
	} {
		if got := l.providers[name]; got != want {
			t.Errorf("provider %s: %+v, want %+v", name, got, want)
		}
	}
	if got := l.source["a"]; got != (schedule.Caps{MessagesPerSecond: 7}) {
		t.Errorf("source a: %+v", got)
	}
	for _, c := range []struct {
		source, site, provider string
		want                   schedule.Caps
	}{
		{"", "mx.y.example", "", schedule.Caps{MessagesPerConnection: 50}},
		{"", "mx.y.example", "filed", schedule.Caps{MessagesPerConnection: 20, RecipientsPerTransaction: 10}},
		{"", "mx.x.example", "", schedule.Caps{Connections: 2, MessagesPerConnection: 50}},
		{"a", "mx.x.example", "", schedule.Caps{Connections: 1, MessagesPerConnection: 5}},
	} {
		if got := l.lane(c.source, c.site, c.provider); got != c.want {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

// An exchanger is this system where it listens at the port of exchangers, not beside it.
//
// Covers HO3.
func TestOwnAddresses(t *testing.T) {
	cfg := config.Default()
	cfg.Hostname = "Mx1.isp.example"
	cfg.Listeners = []config.Listener{{Network: "tcp", Host: "192.0.2.7:25"}, {Network: "tcp", Host: "192.0.2.8:587"}}
	own := ownOf(cfg)
	for _, c := range []struct {
		host, addr string
		want       bool
	}{
		{"mx1.ISP.example", "203.0.113.1", true},
		{"mx9.example", "192.0.2.7", true},
		{"mx9.example", "192.0.2.8", false},
		{"mx9.example", "203.0.113.1", false},
	} {
		if got := own(c.host, netip.MustParseAddr(c.addr)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
