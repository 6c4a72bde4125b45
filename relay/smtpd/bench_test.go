package smtpd_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postrider/internal/mail"
	"postrider/relay/smtp"
	"postrider/relay/smtpd"
)

// childEnv tells the test binary to be a server that discards, in a process of
// its own, so that its processor time is told apart from the generator's.
const childEnv = "POSTRIDER_SMTPD_BENCH"

type discard struct{ n int64 }

func (d *discard) Connect(*smtpd.Conn) (smtpd.Session, mail.Status) { return &discard{}, mail.Status{} }
func (d *discard) Mail(mail.Address, *smtp.MailParams) mail.Status  { return mail.Status{} }
func (d *discard) Rcpt(mail.Address, *smtp.RcptParams) mail.Status  { return mail.Status{} }
func (d *discard) Data() mail.Status                                { return mail.Status{} }
func (d *discard) Write(p []byte) mail.Status                       { d.n += int64(len(p)); return mail.Status{} }
func (d *discard) Commit() mail.Status                              { return mail.Status{} }
func (d *discard) Reset()                                           {}
func (d *discard) Close()                                           {}

func discarding() *smtpd.Options {
	return &smtpd.Options{
		Hostname: "mx.example", Handler: &discard{},
		Limits: smtpd.Limits{Connections: -1, ConnectionsPerClient: -1},
	}
}

// serveAsChild serves until its standard input ends. Each line of input is
// answered with the user and system microseconds used so far and the resident
// kilobytes.
func serveAsChild() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	if path := os.Getenv(childEnv); path != "1" {
		f, err := os.Create(path)
		if err != nil {
			panic(err)
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			panic(err)
		}
		defer pprof.StopCPUProfile()
	}
	s := smtpd.NewServer("child", nil, discarding)
	go func() {
		if err := s.Serve(l); err != nil {
			panic(err)
		}
	}()
	fmt.Println(l.Addr())
	in := bufio.NewReader(os.Stdin)
	for {
		if _, err := in.ReadString('\n'); err != nil {
			break
		}
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			panic(err)
		}
		fmt.Println(time.Duration(r.Utime.Nano()+r.Stime.Nano()).Microseconds(), resident())
	}
	if err := s.Close(); err != nil {
		panic(err)
	}
	s.Wait()
}

// resident returns the process's resident kilobytes.
func resident() int {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	pages, err := strconv.Atoi(string(bytes.Fields(b)[1]))
	if err != nil {
		panic(err)
	}
	return pages * os.Getpagesize() / 1024
}

// child is a server in another process.
type child struct {
	t    testing.TB
	addr string
	in   io.WriteCloser
	out  *bufio.Reader
}

func startChild(t testing.TB) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	profile := os.Getenv("SMTPD_PROFILE")
	if profile == "" {
		profile = "1"
	}
	cmd.Env = append(os.Environ(), childEnv+"="+profile)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	if _, err := fmt.Fscan(c.out, &c.addr); err != nil {
		t.Fatal(err)
	}
	return c
}

// usage returns what the child used so far.
func (c *child) usage() (cpu time.Duration, residentKB int) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		c.t.Fatal(err)
	}
	var us int64
	if _, err := fmt.Fscan(c.out, &us, &residentKB); err != nil {
		c.t.Fatal(err)
	}
	return time.Duration(us) * time.Microsecond, residentKB
}

// dialHello opens a session and says EHLO.
func dialHello(t testing.TB, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	read := func() {
		if _, err := nc.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if _, err := io.WriteString(nc, "EHLO client.example\r\n"); err != nil {
		t.Fatal(err)
	}
	read()
	return nc
}

// transaction is a whole message as one write, and how many reply lines it gets.
func transaction(size int) ([]byte, int) {
	var b bytes.Buffer
	b.WriteString("MAIL FROM:<sender@client.example> SIZE=" + strconv.Itoa(size) + "\r\nRCPT TO:<user@far.example>\r\nDATA\r\n")
	text := corpus(size)
	b.Write(text)
	b.WriteString(".\r\n")
	return b.Bytes(), 4
}

func corpus(size int) []byte {
	b := []byte("From: <sender@client.example>\r\nTo: <user@far.example>\r\nSubject: measured\r\nMessage-ID: <1@client.example>\r\n\r\n")
	line := bytes.Repeat([]byte("0123456789abcdef"), 5)[:76]
	for len(b)+78 <= size {
		b = append(append(b, line...), '\r', '\n')
	}
	return append(append(b, line[:max(size-len(b)-2, 0)]...), '\r', '\n')
}

// drive sends n transactions over conns connections, one in flight on each, and
// reads the replies of each.
func drive(t testing.TB, conns []net.Conn, message []byte, replies int, n int) {
	t.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for _, nc := range conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			buf := make([]byte, 4096)
			for left.Add(-1) >= 0 {
				if _, err := nc.Write(message); err != nil {
					t.Error(err)
					return
				}
				for got := 0; got < replies; {
					k, err := nc.Read(buf)
					if err != nil {
						t.Error(err)
						return
					}
					if buf[0] != '2' && buf[0] != '3' {
						t.Errorf("reply %q", buf[:k])
						return
					}
					got += bytes.Count(buf[:k], []byte("\n"))
				}
			}
		}()
	}
	wg.Wait()
}

func benchmarkReceive(b *testing.B, size, conns int) {
	c := startChild(b)
	var open []net.Conn
	for range conns {
		open = append(open, dialHello(b, c.addr))
	}
	message, replies := transaction(size)
	drive(b, open, message, replies, 4*conns)
	before, _ := c.usage()
	b.SetBytes(int64(size))
	b.ResetTimer()
	drive(b, open, message, replies, b.N)
	b.StopTimer()
	after, _ := c.usage()
	b.ReportMetric(float64((after-before).Microseconds())/float64(b.N), "server-us/op")
	for _, nc := range open {
		if err := nc.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// The server's processor time a message is the metric server-us/op.
func BenchmarkReceive4K(b *testing.B)  { benchmarkReceive(b, 4<<10, 64) }
func BenchmarkReceive64K(b *testing.B) { benchmarkReceive(b, 64<<10, 64) }
func BenchmarkReceive1M(b *testing.B)  { benchmarkReceive(b, 1<<20, 64) }
