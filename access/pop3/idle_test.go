//go:build !race

package pop3_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/access/pop3"
)

// idleEnv makes the test binary a server in a process of its own, whose memory is
// measured: "plain" or "tls".
const idleEnv = "POSTRIDER_POP3_IDLE"

// connectionsEnv is how many connections TestIdleMemory opens.
const connectionsEnv = "POP3_IDLE_CONNECTIONS"

// serveIdle serves until its standard input ends. Each line of input is answered
// with the resident kilobytes after a collection.
func serveIdle(kind string) {
	h := newHouse("user", "Subject: one\r\n\r\ntext\r\n")
	o := &pop3.Options{Limits: pop3.Limits{Park: 50 * time.Millisecond}}
	if kind == "tls" {
		o.TLS, o.ImplicitTLS = certificate, true
	}
	defer prepare(o, h)()
	o.Events = nil
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := pop3.NewServer("idle", nil, func() *pop3.Options { return o })
	go func() {
		if err := s.Serve(l); err != nil {
			panic(err)
		}
	}()
	fmt.Println(l.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		for range 6 { // stacks shrink by half in each
			runtime.GC()
		}
		debug.FreeOSMemory()
		fmt.Println(resident())
		if path := in.Text(); path != "" {
			f, err := os.Create(path)
			if err != nil {
				panic(err)
			}
			_ = pprof.Lookup("heap").WriteTo(f, 0)
			_ = f.Close()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			fmt.Fprintf(os.Stderr, "heap inuse %d idle %d released %d stack %d sys %d objects %d\n", m.HeapInuse, m.HeapIdle, m.HeapReleased, m.StackInuse, m.Sys, m.HeapObjects)
		}
	}
	_ = s.Close()
	s.Wait()
}

// resident returns the process's resident kilobytes that are its own: text is not.
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

// Sessions that are logged in and wait cost little memory: 10,000 of them at most
// 60 MB in clear and 150 MB by TLS. Fewer are opened here; with
// POP3_IDLE_CONNECTIONS=10000 it is all of them.
//
// Covers HR2.
func TestIdleMemory(t *testing.T) {
	conns := 800
	if n, err := strconv.Atoi(os.Getenv(connectionsEnv)); err == nil {
		conns = n
	}
	for _, c := range []struct {
		kind      string
		mostBytes int
	}{{"plain", 6000}, {"tls", 15000}} {
		t.Run(c.kind, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^$")
			cmd.Env = append(os.Environ(), idleEnv+"="+c.kind)
			cmd.Stderr = os.Stderr
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			pipe, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := in.Close(); err != nil {
					t.Error(err)
				}
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
			}()
			out := bufio.NewReader(pipe)
			var address string
			if _, err := fmt.Fscan(out, &address); err != nil {
				t.Fatal(err)
			}
			measure := func(line string) (kilobytes int) {
				if _, err := fmt.Fprintln(in, line); err != nil {
					t.Fatal(err)
				}
				if _, err := fmt.Fscan(out, &kilobytes); err != nil {
					t.Fatal(err)
				}
				return kilobytes
			}
			// settle measures until sessions have parked and nothing changes any more.
			settle := func() (kilobytes int) {
				for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
					was := kilobytes
					if kilobytes = measure(""); kilobytes > was-64 && kilobytes < was+64 {
						break
					}
				}
				return kilobytes
			}
			warm := loginMany(t, address, c.kind == "tls", 200) // what is made once
			defer shut(warm)
			before := settle()
			idle := loginMany(t, address, c.kind == "tls", conns)
			defer shut(idle)
			after := settle()
			each := (after - before) * 1024 / conns
			for deadline := time.Now().Add(time.Minute); each > c.mostBytes && time.Now().Before(deadline); {
				after = measure("")
				each = (after - before) * 1024 / conns
			}
			measure(os.Getenv("POP3_IDLE_PROFILE"))
			t.Logf("%d connections: %d KiB resident, %d with %d, %d bytes each", conns+len(warm), after, before, len(warm), each)
			if each > c.mostBytes {
				t.Errorf("an idle connection takes %d bytes, more than %d", each, c.mostBytes)
			}
		})
	}
}

func shut(conns []net.Conn) {
	for _, nc := range conns {
		_ = nc.Close()
	}
}

// loginMany opens sessions, from many addresses, and logs them in.
func loginMany(t *testing.T, address string, protected bool, n int) []net.Conn {
	conns := make([]net.Conn, n)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := w; i < n; i += 16 {
				nc, err := loginOne(address, protected, i)
				if err != nil {
					t.Error(err)
					return
				}
				conns[i] = nc
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return conns
}

func loginOne(address string, protected bool, i int) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 9, byte(i/200), byte(1+i%200))}}
	nc, err := d.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if protected {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	if _, err := fmt.Fprintf(nc, "USER user\r\nPASS %s\r\nSTAT\r\nRETR 1\r\n", password); err != nil {
		return nil, err
	}
	var got []byte
	for !strings.HasSuffix(string(got), "\r\n.\r\n") {
		b := make([]byte, 512)
		n, err := nc.Read(b)
		if err != nil {
			return nil, fmt.Errorf("%q, %w", got, err)
		}
		got = append(got, b[:n]...)
	}
	return nc, nil
}
