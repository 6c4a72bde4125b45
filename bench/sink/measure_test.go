package sink_test

import (
	"fmt"
	"testing"
	"time"

	"postrider/bench/ledger"
	"postrider/bench/sink"
)

// What is measured is the time from the intended moment, of what was due after the
// warm-up, each delivery once in an interval and in the total.
func TestMeasure(t *testing.T) {
	book := ledger.New(77)
	f := startFarm(t, front(sink.FarmOptions{Ledger: book, Verify: true}), sink.Site{Name: "some", Domains: set("d1")}, sink.Site{Name: "none", Domains: set("d9")})
	start := time.Now().Add(-time.Hour)
	f.Begin(start, 10*time.Minute)
	c := dial(t, f.FrontAddr())
	c.begin()
	c.say("RSET")
	send := func(run uint64, due time.Duration, rcpts int) {
		seq := book.Issue(rcpts)
		codes := c.say("MAIL FROM:<s@x>")
		for n := range rcpts {
			codes += " " + c.say(fmt.Sprintf("RCPT TO:<r%d.%d@d%d.bench.test>", seq, n, n))
			book.End(seq, n, ledger.Accepted)
		}
		if got := codes + " " + c.say("DATA", text(run, seq, 3, start.Add(due))); len(got) != 4*(rcpts+3)-1 {
			t.Error(got)
		}
	}
	send(77, 9*time.Minute, 1) // warm-up
	send(77, 11*time.Minute, 2)
	send(78, 12*time.Minute, 1) // of another run
	s := f.Snapshot()
	if s.Messages != 3 || s.Recipients != 4 || s.Connections != 1 || s.EndToEnd.TotalCount() != 2 || s.EndToEnd.Min() < 49*60e6-60e6 || s.EndToEnd.Max() > 60*60e6+1e6 {
		t.Errorf("%+v, latencies %d to %d", s.Counts, s.EndToEnd.Min(), s.EndToEnd.Max())
	}
	send(77, 59*time.Minute, 1)
	if s = f.Snapshot(); s.Messages != 1 || s.Connections != 0 || s.Open != 1 || s.EndToEnd.TotalCount() != 1 {
		t.Errorf("%+v", s.Counts)
	}
	send(77, time.Minute*30, 1) // overtaken by the one before
	if got := f.EndToEnd(); got.TotalCount() != 4 {
		t.Errorf("%d in the total", got.TotalCount())
	}
	if got := book.Totals(0); got.Once != 5 || got.Strange != 1 || got.Lost != 1 || got.OutOfOrder != 0 {
		t.Errorf("%+v", got)
	}
	if all := f.Policies(); len(all) != 2 || all[0].Name != "some" || all[0].EndToEnd.TotalCount() != 1 || all[1].Name != "plain" || all[1].EndToEnd.TotalCount() != 3 {
		t.Errorf("%+v", all)
	}
	rows := f.Domains(1)
	if len(rows) != 2 || rows[0].Name != "d0.bench.test" || rows[0].Delivered != 5 || rows[0].EndToEnd.Count != 3 || rows[0].Connections != 1 || rows[1].Name != "others" || rows[1].Delivered != 1 {
		t.Errorf("%+v", rows)
	}
}

// Destinations that do nothing to connections share so many addresses; the others
// have one each, all at one port.
func TestAddresses(t *testing.T) {
	f := startFarm(t, sink.FarmOptions{Spread: true, Hosts: 3}, sink.Site{Domains: set("d1,d3"), Policy: sink.Policy{Tarpit: 1}})
	users := map[string]int{}
	for i := range 10 {
		a := f.Addr(fmt.Sprintf("D%d.bench.test", i))
		if a.Port() != f.Addr("d0.bench.test").Port() || !a.Addr().IsLoopback() {
			t.Error(a)
		}
		users[a.String()]++
	}
	if len(users) != 5 || users[f.Addr("d1.bench.test").String()] != 1 || users[f.Addr("d3.bench.test").String()] != 1 {
		t.Errorf("%v", users)
	}
	if f.Addr("unknown.test").Port() == 0 || f.FrontAddr() != "" {
		t.Error("unknown domains")
	}
	if _, err := sink.NewFarm(sink.FarmOptions{}, nil, nil); err == nil {
		t.Error("a farm without an address")
	}
	if _, err := sink.NewFarm(sink.FarmOptions{Front: "x"}, []string{"a.test", "A.test"}, nil); err == nil {
		t.Error("a domain twice")
	}
}

// A thousand destinations at as many addresses are told apart by the address alone.
func TestThousand(t *testing.T) {
	var domains []string
	for i := range 1000 {
		domains = append(domains, fmt.Sprintf("d%d.bench.test", i))
	}
	f := serveFarm(t, sink.FarmOptions{Spread: true}, domains, sink.Site{Domains: set("10%"), Policy: sink.Policy{Reply: []sink.Reply{{At: sink.AtConnect, Text: "554 no"}}}})
	seen, refusing := map[string]bool{}, 0
	for _, d := range domains {
		a := f.Addr(d).String()
		if seen[a] {
			t.Fatalf("%s is used twice", a)
		}
		seen[a] = true
		c := dial(t, a)
		if c.reply() == "554" {
			refusing++
		}
		_ = c.conn.Close()
	}
	if refusing < 98 || refusing > 102 {
		t.Errorf("%d of 1000 refuse", refusing)
	}
}

// The limit of connections holds for those open at once, a provider's for all its
// domains together.
func TestConnectionLimit(t *testing.T) {
	f := startFarm(t, front(sink.FarmOptions{Spread: true}), sink.Site{Name: "provider", Domains: set("d0-d4"), Shared: true, Policy: sink.Policy{Limits: sink.Limits{Connections: 2}}})
	if f.Addr("d0.bench.test") != f.Addr("d4.bench.test") || f.Addr("d0.bench.test") == f.Addr("d5.bench.test") {
		t.Error("addresses")
	}
	addr := f.Addr("d0.bench.test").String()
	a, b := dial(t, addr), dial(t, addr)
	if got := a.begin() + " " + b.begin(); got != "220 250 250 220 250 250" {
		t.Fatal(got)
	}
	if got := dial(t, addr).reply(); got != "421" {
		t.Error(got)
	}
	c := dial(t, f.FrontAddr())
	if got := c.begin() + " " + c.say("RCPT TO:<r0.0@d3.bench.test>"); got != "220 250 250 421" {
		t.Error(got)
	}
	if got := a.say("QUIT") + a.reply(); got != "221cut" {
		t.Error(got)
	}
	for end := time.Now().Add(10 * time.Second); ; { // it is counted off a moment later
		if got := dial(t, addr).reply(); got == "220" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the place of one that has gone is not given to another")
		}
	}
	rows := f.Domains(0)
	if len(rows) != 1 || rows[0].Name != "provider" || rows[0].PeakOpen < 3 || rows[0].Violations < 2 || rows[0].Deferred != rows[0].Violations {
		t.Errorf("%+v", rows)
	}
}
