package load

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// moments returns how many messages each second of a plan has.
func moments(t *testing.T, text string, from time.Duration, seconds int) []int {
	t.Helper()
	p, err := ParsePace(text)
	if err != nil {
		t.Fatal(err)
	}
	n := make([]int, seconds)
	last := time.Duration(math.MinInt64)
	for plan := newPlan(p, 1, from); ; {
		s, ok := plan.next()
		// What is due at a whole second may fall to either side by rounding.
		i := int((s.at - from + time.Microsecond) / time.Second)
		if !ok || i >= seconds {
			return n
		}
		if s.at < last {
			t.Fatalf("%v behind %v", s.at, last)
		}
		last = s.at
		n[i]++
	}
}

func TestMoments(t *testing.T) {
	for _, c := range []struct {
		text string
		from time.Duration
		want []int
		off  float64 // share that an interval may be off, beside one message
	}{
		{"constant:100", 0, []int{100, 100, 100}, 0},
		{"constant:0.5", 0, []int{1, 0, 1, 0}, 0},
		{"constant:3", 0, []int{3, 3, 3, 3}, 0},
		{"burst:base=10,peak=100,for=1s,every=3s", 0, []int{10, 10, 100, 10, 10, 100}, 0},
		{"burst:base=10,peak=100,for=1s,every=3s", -2 * time.Second, []int{10, 10, 10, 10, 100, 10, 10}, 0},
		{"burst:base=10,peak=100,for=100ms,every=300ms", 0, []int{37, 37, 46, 37, 37, 46}, 0.3},
		{"ramp:from=100,step=10%,every=1s", 0, []int{100, 110, 121, 133, 146}, 0},
		{"ramp:from=100,step=10%,every=1s", -time.Second, []int{100, 100, 110, 121}, 0},
		{"ramp:from=100,step=50,every=2s", 0, []int{100, 100, 150, 150, 200}, 0},
		{"poisson:10000", 0, []int{10000, 10000, 10000}, 0.05},
	} {
		got := moments(t, c.text, c.from, len(c.want))
		for i, n := range got {
			if math.Abs(float64(n-c.want[i])) > 1+c.off*float64(c.want[i]) {
				t.Errorf("%s from %v: %v, not %v", c.text, c.from, got, c.want)
				break
			}
		}
	}
}

// The spaces between independent arrivals vary as much as they are long.
func TestPoisson(t *testing.T) {
	p, _ := ParsePace("poisson:1000")
	plan := newPlan(p, 7, 0)
	var last, sum, squares float64
	const n = 100_000
	for range n {
		s, _ := plan.next()
		gap := s.at.Seconds() - last
		last = s.at.Seconds()
		sum += gap
		squares += gap * gap
	}
	mean := sum / n
	if dev := math.Sqrt(squares/n - mean*mean); math.Abs(mean-0.001) > 0.00002 || math.Abs(dev-0.001) > 0.00002 {
		t.Errorf("mean %v, deviation %v", mean, dev)
	}
}

const ourLog = `{"v":1,"ts":"2026-11-22T21:30:04.000000Z","ev":"start","node":"a","seq":1}
{"v":1,"ts":"2026-11-22T21:30:04.500000Z","ev":"accepted","node":"a","seq":2,"id":"A","from":"a@b","nrcpt":3,"size":1234}
{"v":1,"ts":"2026-11-22T21:30:04.600000Z","ev":"delivered","node":"a","seq":3,"id":"A","rid":1,"size":1234,"reply":"\"accepted\""}
{"v":1,"ts":"2026-11-22T21:30:05.500000Z","ev":"accepted","node":"a","seq":4,"id":"B","from":"","nrcpt":1,"size":99}
{"v":1,"ts":"2026-11-22T21:30:05.500000Z","ev":"accepted","replayed":true,"node":"a","seq":5,"id":"B","from":"","nrcpt":1,"size":99}
{"v":1,"ts":"2026-11-22T21:30:0
`

const postfixSyslog = `Dec 31 23:59:58 host postfix/qmgr[12]: 4X7YZ1: from=<a@b>, size=1000, nrcpt=1 (queue active)
Dec 31 23:59:58 host postfix/smtp[13]: 4X7YZ1: to=<x@y>, relay=none, delay=1, status=deferred (queue active)
Dec 31 23:59:58 host postfix/qmgr[12]: 4X7YZ2: from=<"x, size=1, nrcpt=9"@b>, size=2000, nrcpt=2 (queue active)
Jan  1 00:00:01 host postfix/qmgr[12]: 4X7YZ1: from=<a@b>, size=1000, nrcpt=1 (queue active)
Jan  1 00:00:02 host postfix/qmgr[12]: 4X7YZ2: removed
Jan  1 00:00:03 host postfix/qmgr[12]: 4X7YZ2: from=<>, size=300, nrcpt=1 (queue active)
`

func TestReplay(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	for name, c := range map[string]struct {
		log  string
		want []slot
	}{
		"ours":    {ourLog, []slot{{0, 1234, 3}, {time.Second, 99, 1}}},
		"postfix": {postfixSyslog, []slot{{0, 1000, 1}, {ms(500), 2000, 2}, {ms(5000), 300, 1}}},
		"rfc3339": {
			"2026-11-22T21:30:04.100000+01:00 h postfix/qmgr[1]: A: from=<>, size=5, nrcpt=1 (queue active)\r\n" +
				strings.Repeat("x", 200_000) + "\n\n" +
				"2026-11-22T20:30:03.850000+00:00 h postfix-out/qmgr[1]: B: from=<>, size=6, nrcpt=5000 (queue active)",
			[]slot{{0, 6, 1000}, {ms(250), 5, 1}},
		},
	} {
		got, err := parseReplay(strings.NewReader(c.log))
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%s: %v %v", name, got, err)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v, not %v", name, got, c.want)
			}
		}
	}
	if got, err := parseReplay(strings.NewReader("nothing\n")); err == nil {
		t.Errorf("%v", got)
	}
	file := filepath.Join(t.TempDir(), "log, of a day")
	if err := os.WriteFile(file, []byte(postfixSyslog), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := ParsePace("replay:" + file + ",speed=2")
	if err != nil || p.Scale(2).String() != "replay:"+file+",speed=4" || p.Scale(5).Rate() != 4 {
		t.Fatalf("%v %v %v", p, p.Scale(5).Rate(), err)
	}
	plan := newPlan(p, 1, -time.Second)
	for _, want := range []time.Duration{-time.Second, ms(-750), ms(1500)} {
		if s, ok := plan.next(); !ok || s.at != want {
			t.Errorf("%v %v, not %v", s, ok, want)
		}
	}
	if s, ok := plan.next(); ok {
		t.Errorf("%v", s)
	}
}

func FuzzReplay(f *testing.F) {
	f.Add(ourLog)
	f.Add(postfixSyslog)
	f.Add("2026-11-22T21:30:04.1+01:00 h postfix/qmgr[1]: A: from=<>, size=5, nrcpt=1 (queue active)")
	f.Fuzz(func(t *testing.T, log string) {
		slots, err := parseReplay(strings.NewReader(log))
		if err == nil && (len(slots) == 0 || slots[0].at != 0) {
			t.Fatalf("%v", slots)
		}
		last := time.Duration(0)
		for _, s := range slots {
			if s.at < last || s.bytes < 0 || s.recipients < 0 || s.recipients > maxRecipients {
				t.Fatalf("%v", slots)
			}
			last = s.at
		}
	})
}

// Every text is refused or understood, and then makes moments that never run
// backwards.
func FuzzPace(f *testing.F) {
	for _, s := range []string{"closed", "constant:1000", "poisson:1", "burst:base=5,peak=50,for=10ms,every=30ms", "ramp:from=5,step=10%,every=10s", "ramp:from=5,step=1,every=1ns"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.HasPrefix(text, "replay") {
			return // names a file
		}
		p, err := ParsePace(text)
		if err != nil {
			return
		}
		if q, err := ParsePace(p.String()); err != nil || q.String() != p.String() {
			t.Fatalf("%q became %q, %v", text, p.String(), err)
		}
		if p.Closed() {
			return
		}
		last := time.Duration(math.MinInt64)
		plan := newPlan(p, 1, -time.Second)
		for range 100 {
			s, ok := plan.next()
			if !ok || s.at < last {
				t.Fatalf("%q: %v behind %v", text, s.at, last)
			}
			last = s.at
		}
	})
}
