package sink_test

import (
	"net/smtp"
	"strings"
	"testing"
	"time"

	"postrider/bench/ledger"
	"postrider/bench/result"
	"postrider/bench/sink"
)

// The second implementation decides and counts as the first does.
func TestGoSMTP(t *testing.T) {
	for _, second := range []bool{false, true} {
		book := ledger.New(77)
		f := startFarm(t, front(sink.FarmOptions{Ledger: book, Verify: true, GoSMTP: second, Spread: true, Sender: "bench.invalid"}),
			sink.Site{Domains: set("d1"), Policy: sink.Policy{Reply: []sink.Reply{{At: sink.AtRcpt, Text: "451 4.2.1 later"}}}},
			sink.Site{Domains: set("d2"), Policy: sink.Policy{Reset: true}},
			sink.Site{Domains: set("d3"), Policy: sink.Policy{Limits: sink.Limits{Messages: 1, Recipients: 1}}},
			sink.Site{Domains: set("d4"), Policy: sink.Policy{DropAfter: 1}},
			sink.Site{Domains: set("d5"), Policy: sink.Policy{TLS: sink.TLSGood, Limits: sink.Limits{Size: 100}}})
		seq := book.Issue(3)
		for n := range 3 {
			book.End(seq, n, ledger.Accepted)
		}
		message := text(77, seq, 0, time.Now())
		for domain, want := range map[string]string{
			"d0": "220 250 250 250 354 250 221",
			"d1": "220 250 250 451 554 500 221",
			"d3": "220 250 250 250 354 250 221",
			"d4": "220 250 250 250 354 cut",
		} {
			n := map[string]string{"d0": "0", "d1": "0", "d3": "1", "d4": "2"}[domain]
			c := dial(t, f.Addr(domain+".bench.test").String())
			got := c.reply() + " " + c.say("EHLO x", "MAIL FROM:<s@x>", "RCPT TO:<r0."+n+"@"+domain+".bench.test>")
			if strings.HasSuffix(got, "250") {
				got += " " + c.say("DATA", message)
			}
			if got != strings.TrimSuffix(strings.TrimSuffix(want, " 221"), " 554 500") {
				t.Errorf("%v %s: %s, not %s", second, domain, got, want)
			}
		}
		c := dial(t, f.Addr("d3.bench.test").String())
		if got := c.begin() + " " + c.say("RCPT TO:<a@d3.bench.test>", "RCPT TO:<b@d3.bench.test>"); got != "220 250 250 250 452" {
			t.Errorf("%v: %s", second, got)
		}
		if got := dial(t, f.FrontAddr()); got.begin() != "220 250 250" || got.say("RCPT TO:<a@d2.bench.test>") != "cut" {
			t.Errorf("%v: no reset", second)
		}
		if err := smtp.SendMail(f.FrontAddr(), nil, "", []string{"load@bench.invalid"}, []byte(strings.ReplaceAll(dsn, "%s", "r0.1@d3.bench.test"))); err != nil {
			t.Error(err)
		}
		want := result.Ledger{Duties: 3, Accepted: 3, Once: 3, FalseBounces: 1}
		if got := book.Totals(0); got != want {
			t.Errorf("%v: %+v\nwant %+v", second, got, want)
		}
		n := f.Counts()
		if n.Messages != 4 || n.Deferred != 2 || n.Dropped != 2 || n.BadHash+n.Misdirected+n.Malformed != 0 || f.Violations() != 1 {
			t.Errorf("%v: %+v, %d violations", second, n, f.Violations())
		}
	}
}

// Over LMTP each recipient has a reply, by either implementation.
func TestFarmLMTP(t *testing.T) {
	for _, second := range []bool{false, true} {
		book := ledger.New(77)
		f := startFarm(t, front(sink.FarmOptions{Ledger: book, Verify: true, GoSMTP: second, LMTP: true}),
			sink.Site{Domains: set("d1"), Policy: sink.Policy{Reply: []sink.Reply{{At: sink.AtEnd, Text: "552 5.2.2 full"}}}})
		seq := book.Issue(2)
		c := dial(t, f.FrontAddr())
		got := c.reply() + " " + c.say("LHLO x", "MAIL FROM:<s@x>", "RCPT TO:<r0.0@d0.bench.test>", "RCPT TO:<r0.1@d1.bench.test>", "DATA", text(77, seq, 0, time.Now())) + " " + c.reply()
		if got != "220 250 250 250 250 354 250 552" {
			t.Errorf("%v: %s", second, got)
		}
		book.End(seq, 0, ledger.Accepted)
		if got := book.Totals(0); got.Once != 1 || got.Phantom != 0 {
			t.Errorf("%v: %+v", second, got)
		}
	}
}
