package load_test

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"postrider/bench/load"
)

func pace(t *testing.T, text string) load.Pace {
	t.Helper()
	p, err := load.ParsePace(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A server that stalls for 2 seconds shows in the open loop's response latency,
// since those who would have sent meanwhile had to wait. A closed loop waits with
// the server, and what it measures hides the stall, as does service latency.
func TestStallShows(t *testing.T) {
	const long, second = 2 * time.Second, int64(1_000_000)
	ways := map[string]load.Options{"pipelined": {}, "strict": {Strict: true}}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := way
			f := &fake{extensions: []string{"PIPELINING"}, reply: stall(100, long)}
			o.Address, o.Conns, o.Messages, o.Pace = f.start(t), 4, 800, pace(t, "constant:400")
			r := run(t, o)
			if r.Accepted != 800 || r.Response.TotalCount() != 800 || r.Err != nil {
				t.Fatalf("%+v", r)
			}
			if p := r.Response.ValueAtQuantile(99); p < 3*second/2 {
				t.Errorf("p99 of response is %d us", p)
			}
			// Half of the messages, at least, fell into the stall.
			if p := r.Response.ValueAtQuantile(60); p < second/4 {
				t.Errorf("p60 of response is %d us", p)
			}
			if p := r.Service.ValueAtQuantile(99); p >= second {
				t.Errorf("p99 of service is %d us", p)
			}
			if r.Missed < 400 || r.Abandoned != 0 {
				t.Errorf("missed %d, abandoned %d", r.Missed, r.Abandoned)
			}
		})
		t.Run(name+" closed", func(t *testing.T) {
			t.Parallel()
			o := way
			f := &fake{extensions: []string{"PIPELINING"}, reply: stall(100, long)}
			o.Address, o.Conns, o.Messages = f.start(t), 4, 800
			r := run(t, o)
			if r.Accepted != 800 || r.Missed != 0 {
				t.Fatalf("%+v", r)
			}
			if p := r.Response.ValueAtQuantile(99); p >= second {
				t.Errorf("p99 of response is %d us", p)
			}
			if m := r.Response.Max(); m < 3*second/2 {
				t.Errorf("the longest is %d us", m)
			}
		})
	}
}

// A pace is kept: messages are due when they ought to be.
func TestPaceIsKept(t *testing.T) {
	f := &fake{extensions: []string{"PIPELINING"}}
	o := load.Options{Address: f.start(t), Conns: 4, Duration: 500 * time.Millisecond, Warmup: 250 * time.Millisecond, Pace: pace(t, "constant:200")}
	var log bytes.Buffer
	ticks := load.Counts{}
	var count int64
	o.HLog, o.Tick = &log, 100*time.Millisecond
	o.Interval = func(i *load.Interval) {
		ticks.Accepted += i.Accepted
		ticks.Sent += i.Sent
		count += i.Response.TotalCount()
	}
	began := time.Now()
	r := run(t, o)
	if took := time.Since(began); took < 700*time.Millisecond {
		t.Errorf("over after %v", took)
	}
	// 100 behind the warm-up's 50, whose last may be counted to either.
	if r.Accepted < 99 || r.Accepted > 101 || r.Accepted+r.Warm.Accepted != 150 || r.Response.TotalCount() != r.Accepted || r.Sent != r.Accepted {
		t.Errorf("%+v, warm %+v", r.Counts, r.Warm)
	}
	if ticks.Accepted != 150 || ticks.Sent != 150 || count != 150 || len(r.Intervals) < 7 {
		t.Errorf("%+v %d in %d intervals", ticks, count, len(r.Intervals))
	}
	if i := r.Intervals[0]; i.Phase != "warmup" || (len(i.Heat) > 0) != (i.Response.Count > 0) {
		t.Errorf("%+v", i)
	}
	if i := r.Intervals[len(r.Intervals)-1]; i.Phase != "load" || i.At < 0.7 {
		t.Errorf("%+v", i)
	}
	checkHLog(t, log.String(), 150)
	// The moments are in the texts.
	var due []string
	for _, text := range f.texts {
		due = append(due, strings.Split(text, ",")[2])
	}
	if len(due) != 150 {
		t.Fatal(len(due))
	}
}

func checkHLog(t *testing.T, log string, want int64) {
	t.Helper()
	in := hdr.NewHistogramLogReader(strings.NewReader(log))
	sums := map[string]int64{}
	for {
		h, err := in.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			break
		}
		sums[h.Tag()] += h.TotalCount()
	}
	if sums["response"] != want || sums["service"] != want || len(sums) != 2 {
		t.Errorf("log has %v", sums)
	}
}

// What is due and can't be sent until the grace is over is abandoned, and what
// has no reply by then is unknown.
func TestAbandoned(t *testing.T) {
	over := make(chan struct{})
	f := &fake{extensions: []string{"PIPELINING"}, reply: func(command string) string {
		if command == "." {
			<-over
		}
		return ""
	}}
	o := load.Options{
		Address: f.start(t), Conns: 2, Duration: 200 * time.Millisecond, Grace: 100 * time.Millisecond, Pace: pace(t, "constant:100"),
		Timeout: 10 * time.Second,
	}
	t.Cleanup(func() { close(over) })
	r := run(t, o)
	if r.Unknown != 2 || r.Sent != 2 || r.Abandoned != 18 || r.Missed < 18 || r.Accepted+r.Refused+r.Unsent != 0 {
		t.Errorf("%+v", r.Counts)
	}
}

// An end of the context ends the open loop before its time.
func TestOpenIsStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var texts atomic.Int64
	f := &fake{reply: func(command string) string {
		if command == "." && texts.Add(1) == 20 {
			cancel()
		}
		return ""
	}}
	s, err := load.New(load.Options{Address: f.start(t), Conns: 2, Duration: time.Hour, Pace: pace(t, "poisson:500")})
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Run(ctx); r.Accepted < 20 || r.Accepted > 23 || r.Unknown+r.Unsent+r.Failures != 0 {
		t.Errorf("%+v", r)
	}
}

// A replay sends what the log had.
func TestReplayRun(t *testing.T) {
	log := write(t, "events.jsonl", `{"v":1,"ts":"2026-11-22T21:30:00.000000Z","ev":"accepted","node":"a","seq":2,"nrcpt":3,"size":1234}
{"v":1,"ts":"2026-11-22T21:30:00.100000Z","ev":"accepted","node":"a","seq":4,"nrcpt":1,"size":5000}
`)
	f := &fake{extensions: []string{"PIPELINING"}}
	r := run(t, load.Options{Address: f.start(t), Pace: pace(t, "replay:"+log)})
	if r.Accepted != 2 || r.AcceptedDuties != 4 || r.Bytes != 6234 || f.said("RCPT") != 4 {
		t.Errorf("%+v", r.Counts)
	}
	if r.Elapsed < 100*time.Millisecond {
		t.Errorf("over after %v", r.Elapsed)
	}
}

// A closed loop with think time pauses between messages: of two connections one
// sends at least three of six.
func TestThink(t *testing.T) {
	f := &fake{extensions: []string{"PIPELINING"}}
	r := run(t, load.Options{Address: f.start(t), Conns: 2, Messages: 6, Think: 100 * time.Millisecond})
	if r.Accepted != 6 || r.Elapsed < 200*time.Millisecond {
		t.Errorf("%+v", r)
	}
}
