package load_test

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"postrider/bench/load"
	"postrider/bench/sink"
)

// startSink runs a sink for the time of a test.
func startSink(t testing.TB, network, address string, o sink.Options) (*sink.Server, string) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	s := sink.New(o)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return s, l.Addr().String()
}

func script(t *testing.T, rules ...sink.Rule) *sink.Script {
	t.Helper()
	s, err := sink.NewScript(rules...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func run(t *testing.T, o load.Options) load.Result {
	t.Helper()
	s, err := load.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s.Run(t.Context())
}

// In every way of sending each duty arrives once, whole, and both ends agree.
func TestEveryWay(t *testing.T) {
	sizes := load.MixSizes(load.Size{Bytes: load.MinBytes, Weight: 5}, load.Size{Bytes: 513}, load.Size{Bytes: 4096, Weight: 5}, load.Size{Bytes: 70_001}, load.Size{Bytes: 300_000})
	for name, o := range map[string]load.Options{
		"joined":   {},
		"strict":   {Strict: true},
		"bdat":     {BDAT: true},
		"inflight": {BDAT: true, InFlight: 16},
		"fresh":    {PerConnection: 1},
		"fresh3":   {PerConnection: 3, BDAT: true, InFlight: 2},
		"rcpts":    {Recipients: load.FixedRecipients(7), Domains: load.DomainList("a.test", "b.test")},
		"sources":  {Sources: []netip.Addr{netip.MustParseAddr("127.3.0.1"), netip.MustParseAddr("127.3.0.2")}},
	} {
		t.Run(name, func(t *testing.T) {
			o.Conns, o.Messages, o.Sizes, o.Run = 4, 400, sizes, 77
			o.FirstSeq = 1000
			ledger := sink.NewLedger()
			s, addr := startSink(t, "tcp", "127.0.0.1:0", sink.Options{Ledger: ledger, Verify: true})
			o.Address = addr
			var mu sync.Mutex
			acked := map[uint64]bool{}
			o.Acked = func(a load.Ack) {
				mu.Lock()
				defer mu.Unlock()
				acked[a.Seq] = true
				if string(a.ID) != "taken" {
					t.Errorf("id %q", a.ID)
				}
			}
			r := run(t, o)
			rcpts := int64(o.Recipients.Max())
			if r.Err != nil || r.Accepted != 400 || r.AcceptedDuties != 400*rcpts || r.Response.TotalCount() != 400 || len(acked) != 400 {
				t.Fatalf("%+v, %d acked", r, len(acked))
			}
			c, l := s.Counts(), ledger.Totals()
			if c.Messages != 400 || c.Recipients != 400*rcpts || c.Bytes != r.Bytes || c.BadHash+c.Misdirected+c.Malformed != 0 {
				t.Errorf("sink %+v", c)
			}
			if l != (sink.LedgerTotals{Duties: 400 * rcpts}) {
				t.Errorf("ledger %+v", l)
			}
			for seq := range acked {
				if ledger.Count(77, seq, int(rcpts)-1) != 1 {
					t.Errorf("duty %d was not taken once", seq)
				}
			}
		})
	}
}

// What a server refuses, or leaves without an answer, is counted as just that.
func TestEnds(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules []sink.Rule
		rcpts int
		check func(load.Counts, sink.Counts) bool
	}{
		{"a quarter of the recipients", []sink.Rule{{At: sink.AtRcpt, Percent: 25, Reply: "550 no"}}, 4, func(c load.Counts, s sink.Counts) bool {
			return c.AcceptedDuties == 300 && c.RefusedDuties == 100 && s.Recipients == 300 && s.Refused == 100
		}},
		{"half of the texts", []sink.Rule{{At: sink.AtEnd, Percent: 50, Reply: "451 4.3.0 later"}}, 1, func(c load.Counts, s sink.Counts) bool {
			return c.Accepted == 50 && c.Refused == 50 && s.Messages == 50 && s.Deferred == 50
		}},
		{"all senders", []sink.Rule{{At: sink.AtMail, Reply: "550 5.7.1 no"}}, 1, func(c load.Counts, s sink.Counts) bool {
			return c.Refused == 100 && s.Refused == 100 && s.Messages == 0
		}},
		{"all DATA", []sink.Rule{{At: sink.AtData, Reply: "451 no"}}, 2, func(c load.Counts, s sink.Counts) bool {
			return s.Messages == 0 && c.Accepted == 0 && c.Refused+c.Accepted == 100
		}},
		{"taken and dropped", []sink.Rule{{At: sink.AtEnd, Percent: 10, Drop: true}}, 1, func(c load.Counts, s sink.Counts) bool {
			return s.Dropped >= 9 && c.Unknown == s.Dropped && c.Accepted+c.Unknown+c.Unsent == 100 && s.Messages == c.Accepted+c.Unknown
		}},
	} {
		for way, o := range map[string]load.Options{"joined": {}, "strict": {Strict: true}, "bdat": {BDAT: true}, "inflight": {BDAT: true, InFlight: 3}} {
			if c.name == "all DATA" && o.BDAT || c.name == "taken and dropped" && o.InFlight > 1 {
				continue // BDAT has no such stage; what follows a drop in flight is unknown too
			}
			t.Run(c.name+" "+way, func(t *testing.T) {
				s, addr := startSink(t, "tcp", "127.0.0.1:0", sink.Options{Script: script(t, c.rules...)})
				o.Address, o.Conns, o.Messages, o.Recipients, o.Failures = addr, 2, 100, load.FixedRecipients(c.rcpts), -1
				r := run(t, o)
				if sc := s.Counts(); !c.check(r.Counts, sc) {
					t.Errorf("load %+v\nsink %+v", r.Counts, sc)
				}
			})
		}
	}
}

// A server that is not there, or talks to nobody, is given up.
func TestGivesUp(t *testing.T) {
	o := load.Options{Address: "unix:" + filepath.Join(t.TempDir(), "none"), Conns: 2, Messages: 10, Failures: 2}
	if r := run(t, o); r.Err == nil || r.Failures != 4 || r.Accepted != 0 {
		t.Errorf("%+v", r)
	}
	path := filepath.Join(t.TempDir(), "s")
	startSink(t, "unix", path, sink.Options{Script: script(t, sink.Rule{At: sink.AtConnect, Reply: "554 no"})})
	o.Address = "unix:" + path
	if r := run(t, o); r.Err == nil || r.Failures != 4 {
		t.Errorf("%+v", r)
	}
}

// A duration ends a run without leaving anything in the air.
func TestDuration(t *testing.T) {
	s, addr := startSink(t, "tcp", "127.0.0.1:0", sink.Options{})
	r := run(t, load.Options{Address: addr, Conns: 3, Duration: 100 * time.Millisecond})
	if r.Accepted == 0 || r.Unknown+r.Unsent+r.Failures != 0 || s.Counts().Messages != r.Accepted {
		t.Errorf("%+v", r)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []load.Options{
		{}, {Address: "x"}, {Address: "x", Messages: 1, Recipients: load.FixedRecipients(1001)}, {Address: "x", Messages: 1, BDAT: true, Strict: true},
		{Address: "x", Messages: 1, Sizes: load.MixSizes(load.Size{Bytes: load.MinBytes - 1})}, {Address: "x", Messages: 1, Sender: "a b"},
		{Address: "x", Messages: 1, Run: 1e10}, {Address: "x", Messages: 1, InFlight: 65},
	} {
		if _, err := load.New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

// Once it runs, the generator and the sink make no garbage: the allocations of a
// long run are those of a short one.
func TestNoGarbage(t *testing.T) {
	for name, o := range map[string]load.Options{"joined": {}, "bdat": {BDAT: true}} {
		t.Run(name, func(t *testing.T) {
			_, o.Address = startSink(t, "tcp", "127.0.0.1:0", sink.Options{Ledger: sink.NewLedger(), Verify: true})
			cost := func(messages int64) float64 {
				o.Messages = messages
				return testing.AllocsPerRun(3, func() { run(t, o) })
			}
			if short, long := cost(100), cost(4000); long-short > 10 {
				t.Errorf("%v allocations for 100 messages, %v for 4000", short, long)
			}
		})
	}
}
