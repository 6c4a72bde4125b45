package cli_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"postrider/internal/admin"
	"postrider/internal/admin/cli"
)

func sites() []admin.SiteStatus {
	list := []admin.SiteStatus{
		{Site: "smtp:192.0.2.1:25", Ready: 12, Deferred: 28, Connections: 3},
		{Site: "google", Domain: "gmail.example", Domains: 813, Provider: "google", Ready: 400, InFlight: 12, Deferred: 1203, Connections: 18, Limit: 20,
			RatePerSec: 96.4, Oldest: now.Add(-11 * time.Minute), LastReply: "250 2.0.0 OK"},
		{Site: "outlook", Source: "pool-a", Domain: "hotmail.example", Domains: 41, Ready: 3981, Deferred: 220, Connections: 10, Limit: 10, RatePerSec: 40,
			Why: admin.NewWhy(admin.GateWindow, now, time.Time{}, ""), LastReply: "451 4.7.500 Server busy\x1b", LastClass: "rate_limit"},
		{Site: "yahoo.example", Domain: "yahoo.example", Domains: 1, Deferred: 18442, Held: 3, Oldest: now.Add(-192 * time.Minute), Limit: 2.5,
			Why: admin.NewWhy(admin.GateBreaker, now.Add(-time.Hour), *due(30 * time.Second), "421 4.7.0 [TSS04] temporarily deferred"), LastReply: "421 4.7.0 [TSS04] temporarily deferred"},
		{Site: "dead.example", Domain: "a.dead.example", Why: admin.NewWhy(admin.GateSuspended, now, *due(-time.Second), "ticket 4711")},
	}
	for i := range list {
		list[i].State = admin.StateOf(list[i].Why)
	}
	return list
}

// Covers O9.
func TestSites(t *testing.T) {
	var out bytes.Buffer
	p := &cli.Printer{W: &out, Now: now}
	many := sites()
	for range 30 {
		many = append(many, admin.SiteStatus{Site: "z.example", State: admin.StateOK, Ready: 1, Deferred: 2})
	}
	queue := []admin.StateCount{{State: "ready", Recipients: 4393}, {State: "deferred", Recipients: 19893}}
	err := p.Sites(&admin.Status{Sites: sites(), Queue: queue, QueueBytes: 1.9e9})
	_, statusErr := p.Status(&admin.Status{Sites: many})
	standing := sites()[1]
	explained := &admin.Explanation{
		To: "bob@gmail.example", Hop: "mx", Site: "google", Provider: "google", Source: "pool-a", Hello: "out1.isp.example", TLS: "may", Standing: &standing,
		Targets: []admin.TargetStatus{{Host: "mx1.google.example", Addr: "192.0.2.9", Preference: 5}, {Host: "mx2.google.example", Addr: "2001:db8::9", Preference: 10, Note: "left out: refused 3 connections"}},
		Limits:  []admin.LimitStatus{{Name: "connections", Value: "20", Origin: "provider google"}, {Name: "window", Value: "18.5", Origin: "learned"}},
	}
	err = errors.Join(err, statusErr, p.Explanation(explained), p.Explanation(&admin.Explanation{To: "bob@null.example", Hop: "mx", Refused: "556 5.1.10 null MX"}))
	p.JSON = true
	if err = errors.Join(err, p.Sites(&admin.Status{Sites: sites()}), p.Explanation(explained)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("a terminal would act on it")
	}
	golden(t, "sites.txt", out.Bytes())
}

// What each gate says, so that no recipient waits without a name (O9): every one
// has words of its own and says what releases it.
//
// Covers O9.
func TestEveryWaitHasWords(t *testing.T) {
	page, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, gate := range admin.Gates() {
		w := admin.NewWhy(gate, now, now, "")
		if w.Text == "it waits" || w.Release == "" || seen[w.Text] {
			t.Errorf("%s: %+v", gate, w)
		}
		seen[w.Text] = true
		if !strings.Contains(string(page), "`"+gate+"`") {
			t.Errorf("%s is not in operations.md", gate)
		}
	}
}
