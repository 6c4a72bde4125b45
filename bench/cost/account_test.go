package cost

import (
	"testing"
	"time"
)

// proc makes a process that has used own and waited milliseconds, and written and
// switched as much as it has used itself.
func proc(pid, parent int, own, waited time.Duration) process {
	return process{
		id: procID{pid, 1}, parent: parent,
		own: cpu{user: own * time.Millisecond}, waited: cpu{user: waited * time.Millisecond},
		written: int64(own + waited), // handed over together
		threads: map[procID]int64{{pid, 1}: int64(own)},
		rss:     10, files: 3,
	}
}

// What processes used is neither lost nor counted twice when they end.
func TestAccount(t *testing.T) {
	again := proc(2, 1, 5, 0)
	again.id.since = 2
	for _, test := range []struct {
		name           string
		samples        [][]process
		cpu            time.Duration // ms
		written, turns int64
	}{
		{"one", [][]process{{proc(1, 0, 100, 0)}}, 100, 100, 100},
		{"grows", [][]process{{proc(1, 0, 100, 0)}, {proc(1, 0, 150, 0)}}, 150, 150, 150},
		{"a child is waited for", [][]process{
			{proc(1, 0, 100, 0), proc(2, 1, 50, 0)},
			{proc(1, 0, 100, 60)},
		}, 160, 160, 150},
		{"a child is not waited for", [][]process{
			{proc(1, 0, 100, 0), proc(2, 1, 50, 0)},
			{proc(1, 0, 100, 0)},
			{proc(1, 0, 110, 0)},
		}, 160, 160, 160},
		{"a child that was never seen", [][]process{{proc(1, 0, 100, 0)}, {proc(1, 0, 100, 70)}}, 170, 170, 100},
		{"a child ends with its own child", [][]process{
			{proc(1, 0, 100, 0), proc(2, 1, 50, 0), proc(3, 2, 40, 0)},
			{proc(1, 0, 100, 90)},
		}, 190, 190, 190},
		{"one is waited for and one is not", [][]process{
			{proc(1, 0, 100, 0), proc(2, 1, 50, 0), proc(3, 1, 40, 0)},
			{proc(1, 0, 100, 50)},
		}, 190, 240, 190}, // which of the two, the times do not tell: both are kept as written
		{"an orphan goes on", [][]process{
			{proc(1, 0, 100, 0), proc(2, 1, 50, 0), proc(3, 2, 40, 0)},
			{proc(1, 0, 100, 50), proc(3, 900, 45, 0)},
			{proc(1, 0, 100, 50)},
		}, 195, 195, 195},
		{"all end", [][]process{{proc(1, 0, 100, 20), proc(2, 1, 50, 0)}, nil, nil}, 170, 170, 150},
		{"a PID is given again", [][]process{
			{proc(1, 0, 100, 0), proc(2, 1, 50, 0)},
			{proc(1, 0, 100, 50), again},
		}, 155, 155, 155},
	} {
		var a account
		var got totals
		for _, now := range test.samples {
			got = a.update(now)
		}
		if got.cpu.total() != test.cpu*time.Millisecond || got.written != test.written || got.switches != test.turns {
			t.Errorf("%s: CPU %v, written %d, switches %d; want %d ms, %d, %d", test.name,
				got.cpu.total(), got.written, got.switches, test.cpu, test.written, test.turns)
		}
		if n := int64(len(test.samples[len(test.samples)-1])); got.processes != n || got.rss != 10*n || got.files != 3*n {
			t.Errorf("%s: %+v for %d processes", test.name, got, n)
		}
	}
}

// A thread that ends takes nothing away.
func TestAccountThreads(t *testing.T) {
	var a account
	p := proc(1, 0, 10, 0)
	p.threads[procID{5, 1}] = 7
	if got := a.update([]process{p}); got.switches != 17 {
		t.Errorf("%d switches, want 17", got.switches)
	}
	if got := a.update([]process{proc(1, 0, 12, 0)}); got.switches != 19 {
		t.Errorf("%d switches after the end of a thread, want 19", got.switches)
	}
}

func TestBetween(t *testing.T) {
	a := Sample{User: time.Second, System: time.Second, WrittenBytes: 1000, WrittenBy: "device", ContextSwitches: 10}
	b := Sample{
		User: 3 * time.Second, System: 1500 * time.Millisecond, WrittenBytes: 21_000, WrittenBy: "device",
		ContextSwitches: 40, RSSPeakBytes: 7, OpenFiles: 9,
	}
	c := Between(a, b, 5000, 10_000)
	if c.UserSeconds != 2 || c.SystemSeconds != 0.5 || c.MessagesPerCPUSecond != 2000 || c.CPUSecondsPer1000 != 0.5 ||
		c.WrittenBytes != 20_000 || c.WrittenPerByte != 2 || c.ContextSwitches != 30 || c.RSSPeakBytes != 7 || c.OpenFiles != 9 ||
		c.WrittenBy != "device" {
		t.Errorf("%+v", c)
	}
	if c := Between(a, b, 0, 0); c.MessagesPerCPUSecond != 0 || c.WrittenPerByte != 0 {
		t.Errorf("nothing was sent: %+v", c)
	}
	// The kernel moves a little from one part to the other.
	shifted := Sample{User: 900 * time.Millisecond, System: 1400 * time.Millisecond}
	if c := Between(a, shifted, 1, 1); c.UserSeconds != 0 || c.SystemSeconds < 0.299 || c.SystemSeconds > 0.301 {
		t.Errorf("shifted: %+v", c)
	}
	b.WrittenBy = "processes"
	if c := Between(a, b, 1, 1); c.WrittenBytes != 0 || c.WrittenBy != "" {
		t.Errorf("two sources: %+v", c)
	}
}
