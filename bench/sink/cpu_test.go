package sink_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"postrider/bench/ledger"
	"postrider/bench/load"
	"postrider/bench/sink"
)

// childMessages tells a test binary that it is the sink of BenchmarkCPU, and for
// how many messages.
const childMessages = "SINK_CHILD_MESSAGES"

// serveChild is a farm in a process of its own: it says its address, serves until
// standard input ends, and says what the ledger says.
func serveChild(count string) error {
	var messages int
	if _, err := fmt.Sscan(count, &messages); err != nil {
		return err
	}
	book := ledger.New(77)
	for range messages {
		book.End(book.Issue(1), 0, ledger.Accepted)
	}
	f, err := sink.NewFarm(sink.FarmOptions{Front: "127.0.0.1:0", Ledger: book, Verify: true, Sender: "bench.invalid"}, []string{"d0.bench.test"}, nil)
	if err != nil {
		return err
	}
	if err := f.Listen(); err != nil {
		return err
	}
	fmt.Println(f.FrontAddr())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Serve(ctx) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
	cancel()
	fmt.Printf("%+v %d\n", book.Totals(0), f.EndToEnd().TotalCount())
	return <-ended
}

// BenchmarkCPU measures the CPU time of a farm in a process of its own, ledger and
// verification on, for messages of 4 KiB over kept connections.
func BenchmarkCPU(b *testing.B) {
	messages := max(2000, b.N)
	c := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^$")
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%d", childMessages, messages))
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	say := bufio.NewReader(out)
	addr, err := say.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	domains, err := load.ParseDomains("d0.bench.test")
	if err != nil {
		b.Fatal(err)
	}
	g, err := load.New(load.Options{Address: strings.TrimSpace(addr), Conns: 16, Messages: int64(messages), Run: 77, Domains: domains})
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	r := g.Run(b.Context())
	b.StopTimer()
	if r.Err != nil || r.Accepted != int64(messages) {
		b.Fatal(r.Err, r.Accepted)
	}
	_ = in.Close()
	totals, err := io.ReadAll(say)
	if err != nil || c.Wait() != nil || !strings.Contains(string(totals), fmt.Sprintf("Once:%d ", messages)) {
		b.Fatal(string(totals), err)
	}
	used := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	b.ReportMetric(float64(used)/float64(time.Microsecond)/float64(messages), "cpu-us/msg")
	b.ReportMetric(r.Rate(), "msg/s")
}
