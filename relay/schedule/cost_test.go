package schedule

import (
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"postrider/internal/mail"
)

func TestATransactionAllocatesNothing(t *testing.T) {
	r := newRig(t, 4, Options{}, Caps{MessagesPerSecond: 1e9})
	r.grow(10)
	if n := testing.AllocsPerRun(1000, func() {
		r.pass(time.Millisecond)
		r.l.Take(r.now, 1)
		r.l.Success(r.now, 1, r.addr(0), time.Millisecond)
		r.l.Decide(r.now, 1)
	}); n != 0 {
		t.Errorf("%v allocations a transaction", n)
	}
	ts := r.pick()
	if n := testing.AllocsPerRun(1000, func() { r.l.Pick(r.now, ts, 0) }); n != 0 {
		t.Errorf("%v allocations to pick a target", n)
	}
}

// What rests costs little: a lane that is idle, and a bucket or flow that is ready.
func TestMemory(t *testing.T) {
	heap := func(f func() any) float64 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		keep := f()
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(keep)
		return float64(after.HeapAlloc) - float64(before.HeapAlloc)
	}
	const lanes = 100_000
	if n := heap(func() any {
		s := New(Options{})
		for i := range lanes {
			s.Lane(Key{Site: "site" + strconv.Itoa(i)}, Caps{})
		}
		return s
	}) / lanes; n > 1200 {
		t.Errorf("an idle lane takes %.0f bytes (%d of them the lane)", n, unsafe.Sizeof(Lane{}))
	}
	const buckets = 1_000_000
	if n := heap(func() any {
		o := NewOrder(OrderOptions{})
		for b := range uint32(buckets) {
			o.Add(b, b%1000, BandNormal)
		}
		return o
	}) / buckets; n > 14 {
		t.Errorf("a bucket takes %.1f bytes", n)
	}
	const flows = 100_000
	if n := heap(func() any {
		o := NewOrder(OrderOptions{})
		for f := range uint32(flows) {
			o.Add(f, f, BandNormal)
		}
		return o
	}) / flows; n > 300 {
		t.Errorf("a flow takes %.0f bytes", n)
	}
}

func BenchmarkOrder(b *testing.B) {
	for _, flows := range []uint32{1, 1000, 100_000} {
		b.Run(strconv.Itoa(int(flows)), func(b *testing.B) {
			o := NewOrder(OrderOptions{})
			for f := range flows {
				o.Add(f, f, BandNormal)
			}
			b.ReportAllocs()
			for b.Loop() {
				k, _ := o.Next(1)
				o.Took(k, 5000, 1)
				o.Done(k)
			}
		})
	}
}

// A flow that holds half of the slots is at the top of the heap all the time.
func BenchmarkOrderFlood(b *testing.B) {
	o := NewOrder(OrderOptions{})
	for f := range uint32(1000) {
		o.Add(f, f, BandNormal)
	}
	o.flows[0].inflight, o.inflight = 20, 20
	b.ReportAllocs()
	for b.Loop() {
		k, _ := o.Next(1)
		o.Took(k, 5000, 1)
		o.Done(k)
	}
}

func BenchmarkLane(b *testing.B) {
	s := New(Options{})
	l := s.Lane(Key{Source: "out", Site: "a", Provider: "big"}, Caps{MessagesPerSecond: 1e9})
	addr := netip.MustParseAddr("192.0.2.1")
	l.Decide(epoch, 1)
	l.Heard(epoch, mail.Hearing{Target: mail.Target{Addr: netip.AddrPortFrom(addr, 25)}, Connect: true})
	now := epoch
	b.Run("Take", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			now = now.Add(time.Microsecond)
			l.Take(now, 1)
		}
	})
	b.Run("Success", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			now = now.Add(time.Microsecond)
			l.Success(now, 1, addr, time.Millisecond)
		}
	})
	b.Run("Decide", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			now = now.Add(time.Microsecond)
			l.Decide(now, 1)
		}
	})
}
