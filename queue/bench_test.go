package queue

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func cpu() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // cannot fail for the caller itself
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkPassage takes 4 KiB messages through accept, lease and settle on a
// real disk, with as many writers as the case says and four lessees.
func BenchmarkPassage(b *testing.B) {
	for _, c := range []struct{ writers, size int }{{32, 4 << 10}, {64, 4 << 10}, {32, 64 << 10}} {
		b.Run(fmt.Sprintf("%dx%dKiB", c.writers, c.size>>10), func(b *testing.B) { passage(b, c.writers, c.size) })
	}
}

func passage(b *testing.B, writers, size int) {
	q, err := Open(Options{Dir: b.TempDir(), Bind: func(_, _ []byte) string { return "out" }})
	if err != nil {
		b.Fatal(err)
	}
	<-q.Loaded()
	stop := make(chan struct{})
	go func() { // the event log's part
		t := time.NewTicker(100 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				q.Logged(q.LogMark())
			case <-stop:
				return
			}
		}
	}()
	text := make([]byte, size)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	start := cpu()
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				d, err := q.NewDraft(int64(size))
				if err != nil {
					b.Error(err)
					return
				}
				e := d.Envelope()
				e.Sender = e.KeepString("someone@from.example")
				e.AddRecipient([]byte("somebody@to.example"), 0, nil)
				if _, err := d.Write(text); err != nil {
					b.Error(err)
				}
				if err := d.Commit(b.Context()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	var done atomic.Int64
	for range 4 {
		wg.Go(func() {
			l := q.Lane("out")
			res := []Result{{State: Delivered, Attempt: true}}
			var j *Job
			for done.Load() < int64(b.N) {
				n := l.Next(b.Context(), 50*time.Millisecond, Lease{MaxRecipients: 1}, j)
				if n == nil {
					continue
				}
				j = n
				j.Settle(res)
				done.Add(1)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(cpu()-start)/float64(time.Microsecond)/float64(b.N), "cpu-us/msg")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	close(stop)
	if err := q.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}
