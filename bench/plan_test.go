package bench_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"postrider/bench"
	"postrider/bench/result"
	"postrider/bench/sink"
	"postrider/bench/target"
)

// Targets take turns, what they are asked for is right, each round's account
// balances, and everything is stopped and removed afterwards.
func TestPlan(t *testing.T) {
	var order []string
	var needs []target.Need
	starts := func(name string, n target.Need) { order, needs = append(order, name), append(needs, n) }
	a, b := &fake{name: "a", starts: starts}, &fake{name: "b", starts: starts}
	p := &bench.Plan{
		Scenarios: []*bench.Scenario{scenario(t, "plain", `
			[load]
			messages = 300
			conns = 4
			recipients = "3"
			domains = "uniform:n=20"
			[expect]
			delivered = true
			duplicates = "none"
			no_bounces = true
			no_unknown = true
			no_refusals = true`)},
		Targets: []target.Target{a, b}, Runs: 3, Seed: 7, Dir: t.TempDir(),
	}
	saved := 0
	p.Save = func(f *result.File) error { saved = len(f.Runs); return nil }
	f, err := p.Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, ""); got != "abbaab" || saved != 6 || len(f.Runs) != 6 {
		t.Errorf("order %s, %d saved, %d runs", got, saved, len(f.Runs))
	}
	for i, r := range f.Runs {
		l := r.Ledger
		if l.Duties != 900 || l.Accepted != 900 || l.Once != 900 || l.Lost+l.Queued+l.Copies+l.Strange != 0 || r.Load.Messages != 300 {
			t.Errorf("run %d: %+v", i, l)
		}
		if r.Target.Name != order[i] || r.Index != i/2 || r.Seed != 7+uint64(i/2) || len(r.Failed) > 0 || len(r.Intervals) == 0 {
			t.Errorf("run %d: %s index %d seed %d failed %v", i, r.Target.Name, r.Index, r.Seed, r.Failed)
		}
		if r.Load.Response.Count != 300 || r.Load.EndToEnd.Count != 900 || r.Cost.By != "clock" || r.Cost.UserSeconds <= 0 {
			t.Errorf("run %d: %+v %+v", i, r.Load, r.Cost)
		}
		if n := needs[i]; n.NextHop == "" || n.DNS != "" || n.Conns != 4 || n.Mailboxes != 0 {
			t.Errorf("run %d: %+v", i, n)
		}
	}
	if a.calls[stopped].Load() != 3 || b.calls[stopped].Load() != 3 {
		t.Error("not every server was stopped")
	}
	if left, err := os.ReadDir(p.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// A server that loses mail fails the plan, and one that says it still has what it
// owes does not, unless the scenario expects that all is delivered.
func TestLoss(t *testing.T) {
	const text = "[load]\nmessages = 50\nconns = 2\ndrain = \"50ms\"\n"
	for name, c := range map[string]struct {
		text   string
		queued int64
		errs   map[string]error
		lost   int64
		failed string
	}{
		"lost":      {text, 0, nil, 50, "50 duties lost"},
		"some lost": {text, 30, nil, 20, "20 duties lost"},
		"queued":    {text, 50, nil, 0, ""},
		"late":      {text + "[expect]\ndelivered = true", 50, nil, 0, "50 duties were still queued"},
		"silent":    {text, 0, map[string]error{"queued": errors.New("no answer")}, 50, "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &bench.Plan{
				Scenarios: []*bench.Scenario{scenario(t, name, c.text)}, Dir: t.TempDir(),
				Targets: []target.Target{&fake{name: "forgets", forgets: true, queued: c.queued, errs: c.errs}},
			}
			f, err := p.Do(t.Context())
			if (c.failed != "") != errors.Is(err, bench.ErrFailed) || len(f.Runs) != 1 {
				t.Fatalf("%v, %d runs", err, len(f.Runs))
			}
			if r := f.Runs[0]; r.Ledger.Lost != c.lost || c.failed != "" && !strings.Contains(strings.Join(r.Failed, "; "), c.failed) {
				t.Errorf("%+v %v", r.Ledger, r.Failed)
			}
		})
	}
}

// The steps of a scenario are done while the load runs, and their failure ends it.
func TestSteps(t *testing.T) {
	s := scenario(t, "steps", `
		[load]
		pace = "constant:200"
		duration = "500ms"
		conns = 4
		[[step]]
		do = "kill"
		at = "20ms"
		every = "20ms"
		times = 3
		[[step]]
		do = "reload"
		at = "10ms"
		[expect]
		duplicates = "in flight"`)
	f := &fake{name: "f"}
	p := &bench.Plan{Scenarios: []*bench.Scenario{s}, Targets: []target.Target{f}, Dir: t.TempDir()}
	if _, err := p.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if k, r, h := f.calls[killed].Load(), f.calls[restarted].Load(), f.calls[reloaded].Load(); k != 3 || r != 3 || h != 1 {
		t.Errorf("%d kills, %d restarts, %d reloads", k, r, h)
	}
	f.errs = map[string]error{"2": errors.New("will not")}
	if _, err := p.Do(t.Context()); err == nil || !strings.Contains(err.Error(), "step reload: will not") {
		t.Errorf("%v", err)
	}
}

// Suspended servers are resumed when the load is over, and what a message costs
// that waits is measured.
func TestSuspended(t *testing.T) {
	f := &fake{name: "f", forgets: true, queued: 20}
	p := &bench.Plan{
		Scenarios: []*bench.Scenario{scenario(t, "s", "[server]\nsuspended = true\n[load]\nmessages = 20\ndrain = \"20ms\"")},
		Targets:   []target.Target{f}, Dir: t.TempDir(),
	}
	r, err := p.Do(t.Context())
	if err != nil || f.calls[resumed].Load() != 1 || r.Runs[0].Ledger.Queued != 20 {
		t.Fatalf("%v, resumed %d times, %+v", err, f.calls[resumed].Load(), r.Runs)
	}
}

// With domains in the name service a server finds a sink for each of them there.
func TestDNS(t *testing.T) {
	var asked target.Need
	f := &fake{name: "postfix", address: func(n target.Need) (string, error) {
		asked = n
		r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, n.DNS)
		}}
		mx, err := r.LookupMX(context.Background(), "d7.bench.test.")
		if err != nil {
			return "", err
		}
		addrs, err := r.LookupHost(context.Background(), mx[0].Host)
		if err != nil {
			return "", err
		}
		return net.JoinHostPort(addrs[0], strconv.Itoa(n.MXPort)), nil
	}}
	p := &bench.Plan{
		Scenarios: []*bench.Scenario{scenario(t, "mx", `
			[dns]
			domains = 10
			mx = 2
			hosts = 3
			[[site]]
			domains = "d7"
			[site.limits]
			connections = 1
			[load]
			messages = 20
			conns = 1
			domains = "d7.bench.test"
			[expect]
			violations = "none"
			delivered = true`)},
		Targets: []target.Target{f}, Dir: t.TempDir(),
	}
	r, err := p.Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if asked.NextHop != "" || asked.DNS == "" || asked.MXPort == 0 {
		t.Errorf("%+v", asked)
	}
	if d := r.Runs[0].Domains; len(d) != 1 || d[0].Name != "d7.bench.test" || d[0].Delivered != 20 || d[0].Queries == 0 {
		t.Errorf("%+v", d)
	}
}

// Crowds are there while the load runs.
func TestIdle(t *testing.T) {
	p := &bench.Plan{
		Scenarios: []*bench.Scenario{scenario(t, "idle", "[[idle]]\nconns = 60\n[[idle]]\nconns = 5\nevery = \"1ms\"\n[load]\nmessages = 10\nconns = 1")},
		Targets:   []target.Target{&fake{name: "f"}}, Dir: t.TempDir(),
	}
	r, err := p.Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cut := 0
	for _, v := range r.Runs[0].Values {
		if v.Name == "idle connections that were closed" {
			cut++
			if v.Got != 0 {
				t.Errorf("%+v", v)
			}
		}
	}
	if cut != 2 {
		t.Errorf("%+v", r.Runs[0].Values)
	}
}

// What a target can't do is left out; when none is left, that is an error. A
// server that does not start is one too, and an interruption.
func TestRefusals(t *testing.T) {
	mx := scenario(t, "mx", "[dns]\ndomains = 5\n[load]\nmessages = 1")
	p := &bench.Plan{Scenarios: []*bench.Scenario{mx}, Targets: []target.Target{&fake{name: "f"}}, Dir: t.TempDir()}
	if _, err := p.Do(t.Context()); !errors.Is(err, bench.ErrScenario) {
		t.Errorf("%v", err)
	}
	p.Scenarios = []*bench.Scenario{scenario(t, "s", "[load]\nmessages = 1")}
	broken := errors.New("broken")
	p.Targets = []target.Target{&fake{name: "f", errs: map[string]error{"start": broken}}}
	if _, err := p.Do(t.Context()); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	f := &fake{name: "f", starts: func(string, target.Need) { cancel() }}
	p.Targets = []target.Target{f}
	if _, err := p.Do(ctx); !errors.Is(err, context.Canceled) || f.calls[stopped].Load() != 1 {
		t.Errorf("%v, stopped %d times", err, f.calls[stopped].Load())
	}
	if left, err := os.ReadDir(p.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// A rate that is a share is taken from a short run of the scenario it names, once
// for each target.
func TestBase(t *testing.T) {
	n := 0
	f := &fake{name: "f", starts: func(string, target.Need) { n++ }}
	s := scenario(t, "half", "[load]\nof = \"ceiling\"\npace = \"constant:1%\"\nduration = \"300ms\"\nconns = 8")
	var notes []string
	p := &bench.Plan{Scenarios: []*bench.Scenario{s, s}, Targets: []target.Target{f}, Dir: t.TempDir(), Watch: notesOnly{&notes}}
	r, err := p.Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n != 3 || len(r.Runs) != 2 || r.Runs[0].Load.Model != "constant" || !strings.Contains(strings.Join(notes, "\n"), "100% of ceiling is") {
		t.Errorf("%d starts, %d runs, %s", n, len(r.Runs), notes)
	}
}

type notesOnly struct{ notes *[]string }

func (n notesOnly) Note(line string)            { *n.notes = append(*n.notes, line) }
func (n notesOnly) Begin(string, time.Duration) {}
func (n notesOnly) Live(bench.Live)             {}

// Of a server that somebody else has started, its owner says what it speaks and
// what class it has; what it loses is found without an adapter.
func TestPlanExternal(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- sink.New(sink.Options{}).Serve(ctx, l) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	tg, err := target.Parse("external:smtp="+l.Addr().String()+",class=D1,name=liar", target.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &bench.Plan{
		Scenarios: []*bench.Scenario{scenario(t, "plain", "[load]\nmessages = 20\nconns = 2\ndrain = \"50ms\"")},
		Targets:   []target.Target{tg}, Dir: t.TempDir(), Audit: true,
	}
	f, err := p.Do(t.Context())
	if !errors.Is(err, bench.ErrFailed) || len(f.Runs) != 1 {
		t.Fatalf("%d runs, %v", len(f.Runs), err)
	}
	if r := f.Runs[0]; r.Ledger.Lost != 20 || r.Target.Name != "liar" || r.Target.Class != "D1" {
		t.Errorf("%s %s: %+v", r.Target.Name, r.Target.Class, r.Ledger)
	}
	p.Scenarios[0].Needs = []string{"imap"}
	if _, err := p.Do(t.Context()); !errors.Is(err, bench.ErrScenario) {
		t.Errorf("without IMAP: %v", err)
	}
}
