package gate

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"postrider/bench/result"
)

// server is what a simulated file is made of.
type server struct {
	name        string
	class       string
	runs        int
	perCPU      float64
	noise       float64 // standard deviation of the factor
	syncs       float64 // of a message; negative: not counted
	firstOfThem func(*result.Run)
}

func file(seed uint64, servers ...server) *result.File {
	rng := rand.New(rand.NewPCG(seed, 9))
	f := &result.File{Schema: result.Schema, Machine: result.Machine{OS: "linux", Kernel: "6.1.0", CPU: "Example 9000", Cores: 4, MemoryBytes: 8 << 30, FileSystem: "ext4"}}
	for _, s := range servers {
		for i := range s.runs {
			r := result.Run{Scenario: "steady", Settings: "conns = 64\n", Index: i, Seed: seed, Target: result.Target{Name: s.name, Class: s.class}}
			r.Cost.By, r.Cost.MessagesPerCPUSecond = "cgroup", s.perCPU*math.Exp(rng.NormFloat64()*s.noise)
			if s.syncs >= 0 {
				r.Cost.SyncsBy, r.Cost.SyncsPerMessage = "strace", s.syncs*(1+0.01*rng.Float64())
			}
			if i == 0 && s.firstOfThem != nil {
				s.firstOfThem(&r)
			}
			f.Runs = append(f.Runs, r)
		}
	}
	return f
}

func TestVerdicts(t *testing.T) {
	base := server{name: "postrider", class: "D3", runs: 10, perCPU: 9000, noise: 0.02, syncs: 0.1}
	with := func(change func(*server)) server {
		s := base
		change(&s)
		return s
	}
	for _, c := range []struct {
		name      string
		base, new server
		want      Verdict
		row       Verdict // of messages/cpu-s
		text      string  // in what is printed
	}{
		{"the same", base, base, Pass, Pass, "gate: pass"},
		{"faster", base, with(func(s *server) { s.perCPU *= 1.3 }), Pass, Pass, "+"},
		{"a little slower, within the limit", base, with(func(s *server) { s.perCPU *= 0.99 }), Pass, Pass, ""},
		{"slower", base, with(func(s *server) { s.perCPU *= 0.85 }), Fail, Fail, "gate: FAIL"},
		{"slower, of five runs each", with(func(s *server) { s.runs = 5 }), with(func(s *server) { s.runs, s.perCPU = 5, 7000 }), Fail, Fail, "n=5+5"},
		{"slower, but only three runs each", with(func(s *server) { s.runs = 3 }), with(func(s *server) { s.runs, s.perCPU = 3, 4500 }), MoreRuns, MoreRuns, "need 2 more runs of the new"},
		{"one run", base, with(func(s *server) { s.runs = 1 }), MoreRuns, MoreRuns, "more run"},
		{"noisy", with(func(s *server) { s.noise = 0.15 }), with(func(s *server) { s.noise = 0.15 }), MoreRuns, MoreRuns, "of the base"},
		{"on the limit", base, with(func(s *server) { s.perCPU *= 0.945 }), MoreRuns, MoreRuns, "gate: need more runs"},
		{"noisy and much slower", with(func(s *server) { s.noise = 0.1 }), with(func(s *server) { s.noise, s.perCPU = 0.1, 5000 }), Fail, Fail, ""},
		{"more syncs", base, with(func(s *server) { s.syncs = 0.2 }), Fail, Pass, "syncs/message"},
		{"fewer syncs", base, with(func(s *server) { s.syncs = 0.05 }), Pass, Pass, ""},
		{"syncs where none were", with(func(s *server) { s.syncs = 0 }), base, Fail, Pass, "from none"},
		{"no syncs any more", base, with(func(s *server) { s.syncs = 0 }), Pass, Pass, "-100.0%"},
		{"no syncs at all", with(func(s *server) { s.syncs = 0 }), with(func(s *server) { s.syncs = 0 }), Pass, Pass, ""},
		{"syncs not counted in the base", with(func(s *server) { s.syncs = -1 }), base, Pass, Pass, "did not measure syncs/message"},
		{"syncs not counted in the new", base, with(func(s *server) { s.syncs = -1 }), MoreRuns, Pass, "need 2 more runs of the new"},
		{"weaker class", base, with(func(s *server) { s.class, s.perCPU = "D1", 20000 }), Fail, Pass, "durability class D1, and D3 in the base"},
		{"stronger class", with(func(s *server) { s.class = "D2" }), base, Pass, Pass, "stronger"},
		{"lost", base, with(func(s *server) { s.perCPU *= 2; s.firstOfThem = func(r *result.Run) { r.Ledger.Lost = 3 } }), Fail, Pass, "run 0: 3 duties lost"},
		{"damaged", base, with(func(s *server) { s.firstOfThem = func(r *result.Run) { r.Ledger.Corrupted = 1 } }), Fail, Pass, "1 duties damaged"},
		{"phantom", base, with(func(s *server) { s.firstOfThem = func(r *result.Run) { r.Ledger.Phantom = 1 } }), Fail, Pass, "not accepted"},
		{"demand missed", base, with(func(s *server) { s.firstOfThem = func(r *result.Run) { r.Failed = []string{"p99 above 250 ms"} } }), Fail, Pass, "p99 above 250 ms"},
		{"stamped", base, with(func(s *server) {
			s.firstOfThem = func(r *result.Run) { r.Stamps = []string{"noisy machine: drift of 14 %"} }
		}), Pass, Pass, `stamped "noisy machine"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Check(file(1, c.base), file(2, c.new), Limits{MaxRegress: 0.05})
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if err := r.WriteText(&b); err != nil {
				t.Fatal(err)
			}
			if r.Verdict != c.want || r.Rows[0].Verdict != c.row || !strings.Contains(b.String(), c.text) {
				t.Errorf("verdict %q and %q of the first row, want %q and %q with %q:\n%s", r.Verdict, r.Rows[0].Verdict, c.want, c.row, c.text, &b)
			}
			if lines := strings.Split(strings.TrimSpace(b.String()), "\n"); lines[len(lines)-1] != "gate: "+c.want.String() {
				t.Errorf("the last line is %q", lines[len(lines)-1])
			}
		})
	}
}

// What a gate at this level fails although nothing changed, and what it lets
// pass although it is much slower, is rare; most it decides.
func TestErrorsAreRare(t *testing.T) {
	s := server{name: "postrider", runs: 10, perCPU: 9000, noise: 0.02, syncs: -1}
	slow := s
	slow.perCPU *= 0.9
	var same, slower [Fail + 1]int
	for i := range uint64(300) {
		for _, c := range []struct {
			fresh server
			count *[Fail + 1]int
		}{{s, &same}, {slow, &slower}} {
			r, err := Check(file(1000+i, s), file(5000+i, c.fresh), Limits{MaxRegress: 0.05})
			if err != nil {
				t.Fatal(err)
			}
			c.count[r.Verdict]++
		}
	}
	if same[Fail] > 0 || same[Pass] < 240 {
		t.Errorf("nothing changed: pass %d, more runs %d, fail %d", same[Pass], same[MoreRuns], same[Fail])
	}
	if slower[Pass] > 0 || slower[Fail] < 240 {
		t.Errorf("a tenth slower: pass %d, more runs %d, fail %d", slower[Pass], slower[MoreRuns], slower[Fail])
	}
}

func TestRefused(t *testing.T) {
	s := server{name: "postrider", runs: 6, perCPU: 9000, noise: 0.02, syncs: 0.1}
	other := s
	other.name = "postfix"
	moved := file(2, s)
	moved.Machine.CPU, moved.Machine.MemoryBytes = "Example 7", 4<<30
	grown := file(2, s)
	grown.Machine.MemoryBytes += grown.Machine.MemoryBytes / 100
	lossy := file(1, s)
	lossy.Runs[3].Ledger.Lost = 1
	limits := Limits{MaxRegress: 0.05}
	for _, c := range []struct {
		name        string
		base, fresh *result.File
		limits      Limits
		want        string // in the error; "": none
	}{
		{"another machine", file(1, s), moved, limits, `CPU "Example 9000" and "Example 7"; memory 8.0 and 4.0 GiB`},
		{"another machine, allowed", file(1, s), moved, Limits{MaxRegress: 0.05, AnyMachine: true}, ""},
		{"memory that a kernel reserves", file(1, s), grown, limits, ""},
		{"nothing in common", file(1, s), file(2, other), limits, "nothing in common"},
		{"nothing at all", &result.File{Machine: moved.Machine}, moved, limits, "nothing in common"},
		{"base that lost mail", lossy, file(2, s), limits, "run 3 lost 1 duties"},
		{"unknown figure", file(1, s), file(2, s), Limits{MaxRegress: 0.05, Figures: []string{"speed"}}, "known are messages/s,"},
		{"known figure", file(1, s), file(2, s), Limits{MaxRegress: 0.05, Figures: []string{"messages/cpu-s"}}, ""},
		{"no limit", file(1, s), file(2, s), Limits{}, "between 0 and 100%"},
		{"limit of everything", file(1, s), file(2, s), Limits{MaxRegress: 1}, "between 0 and 100%"},
	} {
		r, err := Check(c.base, c.fresh, c.limits)
		switch {
		case c.want == "" && (err != nil || r.Verdict != Pass):
			t.Errorf("%s: %v, %+v", c.name, err, r)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

// Pairs are matched by name, whatever their order; one that is missing is said.
func TestPairsAreMatched(t *testing.T) {
	a := server{name: "postrider", runs: 6, perCPU: 9000, noise: 0.02, syncs: -1}
	b, gone := a, a
	b.name, b.perCPU = "postfix", 3000
	gone.name = "exim"
	fresh := file(2, b, a)
	for i := range fresh.Runs {
		fresh.Runs[i].Settings += "rate = 5\n"
	}
	r, err := Check(file(1, a, b, gone), fresh, Limits{MaxRegress: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != Pass || len(r.Rows) != 2 || r.Rows[0].Target != "postrider" || r.Rows[1].Target != "postfix" {
		t.Errorf("%+v", r.Rows)
	}
	for _, want := range []string{"steady exim is in the base alone", "steady postfix: the settings of the scenario differ between the files"} {
		if !slices.Contains(r.Notes, want) {
			t.Errorf("no note %q in %q", want, r.Notes)
		}
	}
}

// audit gives all runs of a file the same audit.
func audit(f *result.File, syncs, messages int64) *result.File {
	for i := range f.Runs {
		c := &f.Runs[i].Cost
		c.SyncsBy, c.Syncs, c.AuditMessages, c.SyncsPerMessage = "strace", syncs, messages, float64(syncs)/float64(messages)
	}
	return f
}

// A count that stands in every run is one measurement, not as many as there are
// runs.
func TestSharedAudits(t *testing.T) {
	s := server{name: "postrider", runs: 10, perCPU: 9000, noise: 0.01, syncs: -1}
	for _, c := range []struct {
		name       string
		old, fresh [2]int64
		verdict    Verdict
		row        Verdict
		text, note string
	}{
		{"by chance a little more", [2]int64{36, 640}, [2]int64{44, 640}, Pass, MoreRuns, "not shown to be worse", "36 and 44 syncs"},
		{"many more", [2]int64{36, 640}, [2]int64{640, 640}, Fail, Fail, "audits: 1+1", "gate: FAIL"},
		{"long audits, the same", [2]int64{40_000, 20_000}, [2]int64{40_100, 20_000}, Pass, Pass, "audits: 1+1", "gate: pass"},
		{"fewer", [2]int64{640, 640}, [2]int64{36, 640}, Pass, Pass, "-9", "gate: pass"},
		{"none at all", [2]int64{0, 640}, [2]int64{0, 640}, Pass, Pass, "+0.0%", "gate: pass"},
		{"some where none were", [2]int64{0, 640}, [2]int64{640, 640}, Fail, Fail, "syncs/message", "gate: FAIL"},
	} {
		r, err := Check(audit(file(1, s), c.old[0], c.old[1]), audit(file(2, s), c.fresh[0], c.fresh[1]), Limits{MaxRegress: 0.05})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := r.WriteText(&b); err != nil {
			t.Fatal(err)
		}
		if r.Verdict != c.verdict || r.Rows[1].Verdict != c.row || !r.Rows[1].Audited || !strings.Contains(b.String(), c.text) || !strings.Contains(b.String(), c.note) {
			t.Errorf("%s: %q and %q of the row, want %q and %q, with %q and %q:\n%s", c.name, r.Verdict, r.Rows[1].Verdict, c.verdict, c.row, c.text, c.note, &b)
		}
	}
	// An audit of each run is a sample as any other.
	own := audit(file(1, s), 1, 640)
	for i := range own.Runs {
		own.Runs[i].Cost.Syncs, own.Runs[i].Cost.SyncsPerMessage = int64(60+i), float64(60+i)/640
	}
	r, err := Check(own, own, Limits{MaxRegress: 0.2})
	if err != nil || r.Rows[1].Audited || r.Rows[1].A.N != 10 {
		t.Errorf("%v: %+v", err, r.Rows[1])
	}
}
