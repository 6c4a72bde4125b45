package queue

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkBacklog fills a queue with a million deferred messages of one
// recipient each and measures what they cost: resident memory, how soon a new
// process has Open return and the schedule rebuilt, after a clean stop and after a
// kill, and the rate at which fresh mail is accepted beside them, as a part of an
// empty queue's. Each phase is a process of its own. POSTRIDER_BACKLOG_DIR names
// a folder that keeps the million from one run to the next.
func BenchmarkBacklog(b *testing.B) {
	for _, end := range []string{"clean", "kill"} {
		b.Run(end, func(b *testing.B) {
			dir := b.TempDir()
			if kept := os.Getenv("POSTRIDER_BACKLOG_DIR"); kept != "" {
				dir = filepath.Join(kept, end)
			}
			if _, err := os.Stat(filepath.Join(dir, "queue.lock")); err != nil {
				b.Log(child(b, "fill-"+end, dir))
			}
			b.Log(child(b, "open", dir))
			compareRates(b, dir, b.TempDir())
		})
	}
}

const backlogEnv = "POSTRIDER_BACKLOG"

func child(b *testing.B, phase, dir string) string {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), backlogEnv+"="+phase+" "+dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, os.Stderr), &out
	if err := cmd.Run(); err != nil && phase != "fill-kill" {
		b.Fatalf("%s: %v\n%s", phase, err, out.String())
	}
	return phase + ":\n" + out.String()
}

func TestMain(m *testing.M) {
	if phase, dir, ok := strings.Cut(os.Getenv(backlogEnv), " "); ok {
		run := backlog
		if strings.HasPrefix(phase, "deep-") || strings.HasPrefix(phase, "shallow-") {
			run = million
		}
		if err := run(phase, dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const backlogSize = 1_000_000

func backlog(phase, dir string) error {
	start := time.Now()
	q, err := Open(Options{
		Dir: dir, Fatal: func(err error) { fmt.Println("fatal:", err) },
		Bind: func(d, _ []byte) string {
			if string(d) == "fresh.example" {
				return "fresh"
			}
			return "late"
		},
	})
	if err != nil {
		return err
	}
	opened := time.Since(start)
	if phase == "turns" {
		<-q.Loaded()
		takeTurns(q)
		return q.Close(context.Background())
	}
	if phase == "open" {
		rate := freshRate(q, 20_000)
		first := time.Since(start)
		<-q.Loaded()
		fmt.Printf("open %v, 20000 fresh at %.0f/s done at %v, loaded %v\n", opened, rate, first, time.Since(start))
		return q.reportBacklog("after open", q.Close)
	}
	freshRate(q, 200_000) // as in use
	debug.FreeOSMemory()
	before := residentMB()
	if err := fill(q, backlogSize); err != nil {
		return err
	}
	for q.Counts().HotMessages > 20_000 {
		<-time.After(100 * time.Millisecond)
	}
	fmt.Printf("filled in %v\n", time.Since(start))
	debug.FreeOSMemory()
	fmt.Printf("resident %d MB before, %d MB with %d deferred\n", before, residentMB(), q.Counts().States[Deferred].Recipients)
	if phase == "fill-kill" {
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return q.reportBacklog("at the end", q.Close)
}

func (q *Queue) reportBacklog(when string, end func(context.Context) error) error {
	c := q.Counts()
	fmt.Printf("%s: %d deferred, %d messages, table %d MB, resident %d MB\n", when,
		c.States[Deferred].Recipients, c.Messages, c.TableBytes>>20, residentMB())
	return end(context.Background())
}

// fill accepts n messages and defers each once, to somewhere in 1 to 4 hours.
func fill(q *Queue, n int) error {
	_, err := pass(q, n, "late.example", func(k int64) Result {
		return Result{
			State: Deferred, Due: time.Now().Add(time.Hour + time.Duration(k%10800)*time.Second), Attempt: true,
			Status: droppedStatus,
		}
	})
	return err
}

func freshRate(q *Queue, n int) float64 {
	d, err := pass(q, n, "fresh.example", func(int64) Result { return Result{State: Delivered, Attempt: true} })
	if err != nil {
		fmt.Println(err)
	}
	return float64(n) / d.Seconds()
}

// pass sends n messages of 1 KiB through accept, lease and settle.
func pass(q *Queue, n int, domain string, outcome func(int64) Result) (time.Duration, error) {
	start := time.Now()
	text := make([]byte, 1024)
	var left, settled atomic.Int64
	left.Store(int64(n))
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range 48 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := sendOne(q, text, domain); err != nil {
					failed.Store(&err)
					left.Add(1)
				}
			}
		})
	}
	key := strings.TrimSuffix(domain, ".example")
	for range 4 {
		wg.Go(func() {
			l := q.Lane(key)
			var j *Job
			for settled.Load() < int64(n) {
				if next := l.Next(context.Background(), 20*time.Millisecond, Lease{MaxRecipients: 1}, j); next != nil {
					j = next
					j.Settle([]Result{outcome(settled.Add(1))})
					if settled.Load()%2048 == 0 {
						q.Logged(q.LogMark())
					}
				}
			}
		})
	}
	wg.Wait()
	if p := failed.Load(); p != nil {
		fmt.Println("refused at least once:", *p)
	}
	return time.Since(start), nil
}

func sendOne(q *Queue, text []byte, domain string) error {
	d, err := q.NewDraft(int64(len(text)))
	if err != nil {
		return err
	}
	e := d.Envelope()
	e.Sender = e.KeepString("someone@from.example")
	e.AddRecipient([]byte("somebody@"+domain), 0, nil)
	if _, err := d.Write(text); err != nil {
		d.Abort()
		return err
	}
	return d.Commit(context.Background())
}

func residentMB() int {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, s, _ := strings.Cut(string(b), "VmRSS:")
	n, _ := strconv.Atoi(strings.Fields(s)[0])
	return n >> 10
}
