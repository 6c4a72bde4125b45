package queue

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/bytebufferpool"

	"postrider/internal/mail"
	"postrider/queue/internal/record"
	"postrider/queue/internal/rows"
)

// BenchmarkTenMillion fills a queue with ten million deferred recipients of 2.5 million
// messages, to 10,000 domains behind 500 lanes, from 1000 flows of which some
// send much and most little, and measures what that costs: resident memory, and the
// rate at which they leave when all are due, as a part of the rate at which a shallow
// queue of the same kind drains. Each phase is a process of its own.
// POSTRIDER_BACKLOG_DIR names a folder that keeps the store from one run to the next;
// POSTRIDER_BACKLOG_SIZE is another number of recipients.
func BenchmarkTenMillion(b *testing.B) {
	dir := b.TempDir()
	if kept := os.Getenv("POSTRIDER_BACKLOG_DIR"); kept != "" {
		dir = kept
	}
	if _, err := os.Stat(filepath.Join(dir, "deep", "queue.lock")); err != nil {
		b.Log(child(b, "deep-fill", filepath.Join(dir, "deep")))
	}
	b.Log(child(b, "deep-drain", filepath.Join(dir, "deep")))
	if _, err := os.Stat(filepath.Join(dir, "shallow", "queue.lock")); err != nil {
		b.Log(child(b, "shallow-fill", filepath.Join(dir, "shallow")))
	}
	b.Log(child(b, "shallow-drain", filepath.Join(dir, "shallow")))
	b.ReportMetric(0, "ns/op") // says nothing here
}

const (
	deepDomains  = 10_000
	deepLanes    = 500
	deepFlows    = 1000
	shallowSize  = 100_000
	drainTime    = 60 * time.Second
	drainLessees = 8
)

func deepSize() int {
	n := 10_000_000
	if s := os.Getenv("POSTRIDER_BACKLOG_SIZE"); s != "" {
		fmt.Sscan(s, &n)
	}
	return n
}

// deepOptions bind a domain by its number, and let flows take turns.
func deepOptions(dir string) Options {
	return Options{
		Dir: dir, Fatal: func(err error) { fmt.Println("fatal:", err) },
		Place: func(env *mail.Envelope, _ int, p *Placement) { p.Flow, p.Band = env.User, 1 },
		Bind: func(domain, _ []byte) string {
			n := 0
			fmt.Sscanf(string(domain), "d%d.example", &n)
			return fmt.Sprint("lane", n%deepLanes)
		},
		Metrics: &Metrics{Alarm: func(kind string, err error) { fmt.Println("alarm", kind, err) }},
	}
}

// skewed draws numbers below n from the hash of k, small ones far more often: half of
// all are below n/100.
func skewed(k uint64, n int) int {
	k *= 0x9e3779b97f4a7c15
	k ^= k >> 29
	x := float64(k>>11) / (1 << 53)
	return int(float64(n) * x * x * x * x * x * x * x)
}

func million(phase, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	start := time.Now()
	o := deepOptions(dir)
	if strings.HasSuffix(phase, "-drain") {
		o.MaxInterval = time.Second // all is due at once
	}
	q, err := Open(o)
	if err != nil {
		return err
	}
	fmt.Printf("open %v\n", time.Since(start))
	stop := make(chan struct{})
	var flusher sync.WaitGroup
	flusher.Go(func() { // the event log's part
		for t := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-t.C:
				q.Logged(q.LogMark())
			case <-stop:
				return
			}
		}
	})
	switch phase {
	case "deep-fill":
		err = fillDeep(q, deepSize())
	case "shallow-fill":
		err = fillDeep(q, shallowSize)
	default:
		<-q.Loaded()
		fmt.Printf("loaded %v\n", time.Since(start))
		report(q, "after loading")
		err = drainDeep(q)
	}
	close(stop)
	flusher.Wait()
	report(q, "at the end")
	begin := time.Now()
	if e := q.Close(context.Background()); err == nil {
		err = e
	}
	fmt.Printf("closed in %v\n", time.Since(begin))
	return err
}

func report(q *Queue, when string) {
	c := q.Counts()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	q.mu.Lock()
	buckets, bytes := q.bk.Len(), q.bk.Bytes()
	q.mu.Unlock()
	rss := residentMB()
	debug.FreeOSMemory()
	fmt.Printf("%s: %d deferred, %d ready, %d hot, table %d MB, %d buckets %d MB, heap %d MB, resident %d MB (%d MB after giving back)\n", when,
		c.States[Deferred].Recipients, c.States[Ready].Recipients, c.HotMessages, c.TableBytes>>20, buckets, bytes>>20, m.HeapInuse>>20, rss, residentMB())
}

// fillDeep writes the rows and texts of n deferred messages of 256 bytes, as the worker
// would after their first attempt. By way of the spool it takes a sync for each.
func fillDeep(q *Queue, n int) error {
	w := &worker{q: q, st: q.st, touched: make(map[uint32]struct{}), written: q.worker.written}
	text := make([]byte, 256)
	due := time.Now().Add(24 * time.Hour).UnixMilli()
	begin, shown := time.Now(), 0
	for k := 0; k < n; {
		b := q.st.db.NewBatch()
		w.movers = w.movers[:0]
		for len(w.movers) < moveMessages && k < n {
			w.movers = append(w.movers, deepMover(q, text, k, n, due))
			k += len(w.movers[len(w.movers)-1].rcpts)
		}
		err := w.copyTexts()
		for i := 0; err == nil && i < len(w.movers); i++ {
			err = w.writeRows(b, &w.movers[i])
		}
		if err == nil {
			err = w.commit(b, w.written)
		}
		if err != nil {
			return err
		}
		if k>>20 > shown {
			shown = k >> 20
			fmt.Printf("%v: %d written, resident %d MB\n", time.Since(begin).Round(time.Second), k, residentMB())
		}
	}
	return w.sync()
}

// deepMover makes a message of recipient k of n, and of those behind it: of four
// messages three have one recipient and one has thirteen.
func deepMover(q *Queue, text []byte, k, n int, due int64) mover {
	flow := skewed(uint64(k), deepFlows)
	user := fmt.Sprintf("customer-%d", flow)
	env := &mail.Envelope{ID: q.sp.NextID(), ArrivedMicro: time.Now().UnixMicro(), SizeBytes: int64(len(text))}
	env.User = env.KeepString(user)
	env.Sender = env.Keep(fmt.Appendf(nil, "someone@from%d.example", flow))
	m := mover{e: &entry{id: env.ID, env: env, size: int64(len(text)), crc: record.Sum(text), buf: &bytebufferpool.ByteBuffer{B: text}}}
	more := 1
	if k%4 == 0 {
		more = min(13, n-k)
	}
	for i := range more {
		domain := fmt.Sprintf("d%d.example", skewed(uint64(k+i)*31+7, deepDomains))
		env.AddRecipient(fmt.Appendf(nil, "u%d@%s", (k+i)%1000, domain), 0, nil)
		m.rcpts = append(m.rcpts, moverRecipient{rcpt: uint32(i), domain: domain, flow: user, row: rows.Recipient{
			State: uint8(Deferred), Version: 1, Attempts: 1, DueUnixMilli: due, Band: BandRetry,
			Code: 450, Enhanced: mail.Enhanced{Class: 4, Subject: 2}, Text: []byte("come back later"),
		}})
	}
	return m
}

// drainDeep delivers what is due for drainTime, or until nothing is left, with eight
// lessees that go from lane to lane.
func drainDeep(q *Queue) error {
	var delivered, left atomic.Int64
	left.Store(q.Counts().Recipients)
	var wg sync.WaitGroup
	begin, start := time.Now(), cpu()
	for w := range drainLessees {
		wg.Go(func() {
			var j *Job
			for time.Since(begin) < drainTime && left.Load() > 0 {
				idle := true
				for l := w; l < deepLanes; l += drainLessees {
					lane := q.Lane(fmt.Sprint("lane", l))
					for range 32 {
						next := lane.Next(context.Background(), 0, Lease{}, j)
						if next == nil {
							break
						}
						j, idle = next, false
						left.Add(-1)
						if _, err := io.Copy(io.Discard, j.Body.Reader()); err != nil {
							fmt.Println("text:", err)
						}
						j.Settle([]Result{{State: Delivered, Attempt: true}})
						delivered.Add(1)
					}
				}
				if idle {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	for { // the rows are to be gone, too
		q.mu.Lock()
		n := len(q.applies)
		q.mu.Unlock()
		if n == 0 && q.Counts().Unsynced == 0 {
			break
		}
		q.kickWorker()
		time.Sleep(10 * time.Millisecond)
	}
	took := time.Since(begin)
	fmt.Printf("delivered %d in %v: %.0f/s, %.1f us CPU each\n", delivered.Load(), took.Round(time.Millisecond),
		float64(delivered.Load())/took.Seconds(), float64((cpu()-start).Microseconds())/float64(max(delivered.Load(), 1)))
	return nil
}
