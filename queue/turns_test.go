package queue

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"
)

// compareRates lets a queue with a backlog and an empty one, both open, take turns:
// A B B A, so that what drifts meets both alike. The ratio is the median of those
// of the pairs; a disk's moods are longer than a turn.
func compareRates(b *testing.B, full, empty string) {
	const pairs, messages = 16, 25_000
	queues := [2]*turner{newTurner(b, full), newTurner(b, empty)}
	var rates, costs []float64
	for i := range pairs {
		var got [2]turn
		for k := range 2 {
			which := (i + k) & 1
			got[which] = queues[which].turn(b, messages)
		}
		b.Logf("pair %d: with the backlog %.0f/s, %.1f us CPU; empty %.0f/s, %.1f us CPU",
			i, got[0].rate, got[0].cpu, got[1].rate, got[1].cpu)
		rates = append(rates, got[0].rate/got[1].rate)
		costs = append(costs, got[0].cpu/got[1].cpu)
	}
	for _, q := range queues {
		q.end(b)
	}
	b.ReportMetric(median(rates), "rate/empty")
	b.ReportMetric(median(costs), "CPU/empty")
	b.ReportMetric(0, "ns/op") // says nothing here
}

func median(x []float64) float64 {
	slices.Sort(x)
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

// turn is what one turn showed: messages a second and microseconds of CPU a
// message, all threads of the process together.
type turn struct{ rate, cpu float64 }

// turner is a process that holds one queue open and works when it is told.
type turner struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func newTurner(b *testing.B, dir string) *turner {
	q := &turner{cmd: exec.Command(os.Args[0])}
	q.cmd.Env = append(os.Environ(), backlogEnv+"=turns "+dir)
	q.cmd.Stderr = os.Stderr
	out, err := q.cmd.StdoutPipe()
	if err == nil {
		q.in, err = q.cmd.StdinPipe()
	}
	if err == nil {
		err = q.cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	q.out = bufio.NewReader(out)
	q.turn(b, 50_000) // warm, and the schedule is rebuilt
	return q
}

func (q *turner) turn(b *testing.B, n int) (t turn) {
	fmt.Fprintln(q.in, n)
	line, err := q.out.ReadString('\n')
	if err == nil {
		_, err = fmt.Sscan(line, &t.rate, &t.cpu)
	}
	if err != nil {
		b.Fatalf("%q: %v", line, err)
	}
	return t
}

func (q *turner) end(b *testing.B) {
	if err := errors.Join(q.in.Close(), q.cmd.Wait()); err != nil {
		b.Error(err)
	}
}

// takeTurns sends as many messages as each line of the standard input says.
func takeTurns(q *Queue) {
	cpu := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			return 0
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	var n int
	for {
		if _, err := fmt.Scanln(&n); err != nil {
			return
		}
		before := cpu()
		rate := freshRate(q, n)
		fmt.Println(rate, float64(cpu()-before)/1e3/float64(n))
	}
}
