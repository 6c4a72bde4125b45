package spool_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/internal/spool"
	"postrider/internal/spool/frame"
)

// sender is a Committer for a writer that waits for each of its records.
type sender struct {
	w    spool.Write
	done chan struct{}
}

func (b *sender) Committed(*spool.Write) { b.done <- struct{}{} }

// send appends one message and waits until it is durable. Generations are
// released two behind the current one, as a queue does that delivers at once.
func (b *sender) send(s *spool.Spool, head, body []byte, crc uint32) error {
	b.w.Kind, b.w.ID, b.w.Head, b.w.Body = message, s.NextID(), head, body
	b.w.BodyCRC, b.w.BodySummed, b.w.Committer = crc, true, b
	s.Append(&b.w)
	<-b.done
	if gen := b.w.LSN.Gen; gen > s.Low()+2 {
		s.Advance(gen - 2)
	}
	return b.w.Err
}

// slowSync makes every sync of file data take at least d.
func slowSync(fs vfs.FS, d time.Duration) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData {
			<-time.After(d)
		}
		return nil
	}))
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAppend has 64 writers append messages of 4 KiB to a real disk, each
// waiting for its own to be durable. The second form makes a sync take 5 ms more.
//
// Covers Q2.
func BenchmarkAppend(b *testing.B) {
	for _, bm := range []struct {
		name    string
		writers int
		sync    time.Duration
		body    int
	}{
		{"writers=64", 64, 0, 4 << 10},
		{"writers=1", 1, 0, 4 << 10},
		{"writers=64/64KiB", 64, 0, 64 << 10},
		{"writers=64/sync=5ms", 64, 5 * time.Millisecond, 4 << 10},
	} {
		b.Run(bm.name, func(b *testing.B) {
			fs := vfs.Default
			if bm.sync > 0 {
				fs = slowSync(fs, bm.sync)
			}
			benchmarkAppend(b, fs, b.TempDir(), bm.writers, bm.body)
		})
	}
}

func benchmarkAppend(b *testing.B, fs vfs.FS, dir string, writers, size int) {
	var groups, written atomic.Int64
	s := mustOpen(b, spool.Options{
		FS: fs, Dir: dir, SegmentBytes: 64 << 20, Segments: 5, ReserveRecordBytes: -1,
		OnGroup: func(g spool.GroupStats) { groups.Add(1); written.Add(int64(g.Bytes)) },
	}, nil)
	head, body := make([]byte, 300), content(s.NextID(), size)
	crc := frame.Sum(body)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.SetBytes(int64(len(head) + len(body)))
	b.ReportAllocs()
	runtime.GC()
	groups.Store(0)
	written.Store(0)
	cpu := cpuTime()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			p := &sender{done: make(chan struct{}, 1)}
			for left.Add(-1) >= 0 {
				if err := p.send(s, head, body, crc); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	cpu = cpuTime() - cpu
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N), "CPU-us/msg")
	b.ReportMetric(float64(groups.Load())/float64(b.N), "syncs/msg")
	b.ReportMetric(float64(written.Load())/float64(b.N*(len(head)+len(body))), "disk/byte")
	mustClose(b, s)
}
