package load_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postrider/bench/ledger"
	"postrider/bench/load"
)

// discardEnv makes the test binary a discarding server.
const discardEnv = "POSTBENCH_TEST_DISCARD"

func TestMain(m *testing.M) {
	if os.Getenv(discardEnv) != "" {
		discard()
		return
	}
	goleak.VerifyTestMain(m)
}

// discard takes every message and looks at none: the cheapest server that speaks
// SMTP. It says its address, and ends when its input does.
func discard() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(l.Addr())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go discardAll(c)
		}
	}()
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
}

func discardAll(c net.Conn) {
	defer func() { _ = c.Close() }()
	in, out := make([]byte, 64<<10), []byte("220 discard\r\n")
	n, data := 0, false
	end := []byte("\r\n.\r\n")
	for {
		if _, err := c.Write(out); err != nil {
			return
		}
		out = out[:0]
		for len(out) == 0 {
			k, err := c.Read(in[n:])
			if err != nil {
				return
			}
			n += k
			left := in[:n]
			for {
				if data {
					i := bytes.Index(left, end)
					if i < 0 {
						left = left[max(0, len(left)-len(end)+1):]
						break
					}
					left, data = left[i+len(end):], false
					out = append(out, "250 2.0.0 taken\r\n"...)
					continue
				}
				i := bytes.IndexByte(left, '\n')
				if i < 0 {
					break
				}
				switch left[0] {
				case 'D':
					out, data = append(out, "354 go on\r\n"...), true
				case 'E':
					out = append(out, "250-discard\r\n250-PIPELINING\r\n250 CHUNKING\r\n"...)
				default:
					out = append(out, "250 2.1.0 ok\r\n"...)
				}
				left = left[i+1:]
			}
			n = copy(in, left)
		}
	}
}

// startDiscard runs a discarding server in a process of its own.
func startDiscard(b *testing.B) (address string, cpu func() time.Duration) {
	b.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), discardEnv+"=1")
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
	stop := func() time.Duration {
		_ = in.Close()
		_ = c.Wait()
		return c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		b.Fatal(err)
	}
	return strings.TrimSpace(line), stop
}

func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkGenerator sends messages of 4 KiB to a server of another process that
// discards them: what the generator costs, and the rate that it can drive.
func BenchmarkGenerator(b *testing.B) {
	poisson, err := load.ParsePace("poisson:10000")
	if err != nil {
		b.Fatal(err)
	}
	for _, way := range []struct {
		name string
		o    load.Options
	}{
		{"closed", load.Options{}},
		{"closed, no ledger", load.Options{}},
		{"open at 10000", load.Options{Pace: poisson}},
		{"strict", load.Options{Strict: true}},
	} {
		b.Run(way.name, func(b *testing.B) {
			address, stop := startDiscard(b)
			o := way.o
			o.Address, o.Conns, o.Messages = address, 64, int64(b.N)
			if way.name != "closed, no ledger" {
				o.Ledger = ledger.New(1)
			}
			s, err := load.New(o)
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			before := ownCPU(b)
			r := s.Run(b.Context())
			used := ownCPU(b) - before
			b.StopTimer()
			server := stop()
			if r.Accepted != int64(b.N) {
				b.Fatalf("%+v", r.Counts)
			}
			b.ReportMetric(float64(used.Microseconds())/float64(b.N), "own-us/msg")
			b.ReportMetric(float64(server.Microseconds())/float64(b.N), "server-us/msg")
			b.ReportMetric(r.Rate(), "msg/s")
			b.ReportMetric(float64(r.Response.ValueAtQuantile(99)), "p99-us")
		})
	}
}
