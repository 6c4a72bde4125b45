//go:build !race

package imap_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
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

	"postrider/access/imap"
	"postrider/delivery/mailbox"
)

// memoryEnv makes the test binary a server in a process of its own, whose memory is
// measured: "tls" or "deflate", which is in clear.
const memoryEnv = "POSTRIDER_IMAP_IDLE"

// How many connections TestIdleMemory opens, and where the server writes a profile of
// its heap.
const (
	connectionsEnv = "IMAP_IDLE_CONNECTIONS"
	profileEnv     = "IMAP_IDLE_PROFILE"
)

// serveIdle serves until its standard input ends. Each line of input is answered with the
// resident kilobytes after a collection.
func serveIdle(kind string) {
	dir, err := os.MkdirTemp("", "idle")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	store, err := mailbox.Open(mailbox.Options{Dir: dir, CacheBytes: 8 << 20, MemTableBytes: 4 << 20, ReserveBytes: -1, CompactEvery: -1})
	if err != nil {
		panic(err)
	}
	h := &house{t: nil, store: store}
	h.prepare()
	h.o.Events, h.o.Compress, h.o.Limits.Park = nil, kind == "deflate", 50*time.Millisecond
	if kind == "tls" {
		h.o.TLS, h.o.ImplicitTLS = certificate, true
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := imap.NewServer("idle", nil, func() *imap.Options { return h.o })
	go func() {
		if err := s.Serve(l); err != nil {
			panic(err)
		}
	}()
	fmt.Println(l.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if n, err := strconv.Atoi(in.Text()); err == nil {
			fillAccounts(store, n)
		}
		for range 6 { // stacks shrink by half in each
			runtime.GC()
		}
		debug.FreeOSMemory()
		fmt.Println(resident())
		if path := os.Getenv(profileEnv); path != "" {
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
	h.o.Auth.Close()
	if err := store.Close(); err != nil {
		panic(err)
	}
}

// fillAccounts makes accounts for n users, with a message each.
func fillAccounts(store *mailbox.Store, n int) {
	var wg sync.WaitGroup
	for w := range 32 {
		wg.Go(func() {
			for i := w; i < n; i += 32 {
				a, err := store.CreateAccount(context.Background(), fmt.Sprintf("user%d@mx.example", i))
				if err != nil {
					panic(err)
				}
				in, err := a.Mailbox("INBOX")
				if err != nil {
					panic(err)
				}
				d := &mailbox.Delivery{Text: text("Subject: one\r\n\r\ntext\r\n"), Targets: []mailbox.Target{{Mailbox: in}}}
				if err := store.Deliver(context.Background(), d); err != nil {
					panic(err)
				}
			}
		})
	}
	wg.Wait()
}

// resident returns the process's resident kilobytes that are its own: text is not.
func resident() int {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	f := bytes.Fields(b)
	pages, err := strconv.Atoi(string(f[1]))
	if err != nil {
		panic(err)
	}
	shared, err := strconv.Atoi(string(f[2]))
	if err != nil {
		panic(err)
	}
	return (pages - shared) * os.Getpagesize() / 1024
}

// Sessions in IDLE, each of another user with a mailbox selected, cost little memory:
// 10,000 of them by TLS at most 200 MB. Fewer are opened here; with
// IMAP_IDLE_CONNECTIONS=10000 it is all of them.
//
// Covers HI10, HR2.
func TestIdleMemory(t *testing.T) {
	conns := 400
	if n, err := strconv.Atoi(os.Getenv(connectionsEnv)); err == nil {
		conns = n
	}
	for _, c := range []struct {
		kind      string
		mostBytes int
	}{{"tls", 20_000}, {"deflate", 12_000}} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			measureIdle(t, c.kind, conns, c.mostBytes)
		})
	}
}

func measureIdle(t *testing.T, kind string, conns, mostBytes int) {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), memoryEnv+"="+kind)
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
	const warm = 100 // what is made once
	measure(strconv.Itoa(warm + conns))
	first := idleMany(t, address, kind, 0, warm)
	defer shut(first)
	before := settle()
	idle := idleMany(t, address, kind, warm, conns)
	defer shut(idle)
	after := settle()
	each := (after - before) * 1024 / conns
	for deadline := time.Now().Add(time.Minute); each > mostBytes && time.Now().Before(deadline); {
		after = measure("")
		each = (after - before) * 1024 / conns
	}
	t.Logf("%d connections: %d KiB resident, %d with %d, %d bytes each", conns+warm, after, before, warm, each)
	if each > mostBytes {
		t.Errorf("an idle connection takes %d bytes, more than %d", each, mostBytes)
	}
}

func shut(conns []net.Conn) {
	for _, nc := range conns {
		_ = nc.Close()
	}
}

// idleMany opens sessions of users from first on, from many addresses, and has them idle.
func idleMany(t *testing.T, address, kind string, first, n int) []net.Conn {
	conns := make([]net.Conn, n)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := w; i < n; i += 16 {
				nc, err := idleOne(address, kind, first+i)
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

func idleOne(address, kind string, i int) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 9, byte(i/200), byte(1+i%200))}}
	nc, err := d.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if kind == "tls" {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	say := func(text, until string) error {
		if _, err := nc.Write([]byte(text)); err != nil {
			return err
		}
		var got []byte
		for !strings.Contains(string(got), until) {
			b := make([]byte, 2048)
			n, err := nc.Read(b)
			if err != nil {
				return fmt.Errorf("%q, %w", got, err)
			}
			got = append(got, b[:n]...)
		}
		return nil
	}
	long := strings.Repeat("1,3,", 200) + "11" // what is made of it must not stay
	login := fmt.Sprintf("a LOGIN user%d@mx.example \"%s\"\r\nb SELECT INBOX\r\nc UID FETCH %s (FLAGS UID BODY.PEEK[])\r\n", i, password, long)
	if kind != "deflate" {
		return nc, say(login+"d IDLE\r\n", "+ idling")
	}
	if err := say(login+"d COMPRESS DEFLATE\r\n", "d OK"); err != nil {
		return nil, err
	}
	return compressIdle(nc)
}

// compressIdle begins IDLE on a connection that has been compressed.
func compressIdle(nc net.Conn) (net.Conn, error) {
	w, err := flate.NewWriter(nc, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	_, e1 := w.Write([]byte("e IDLE\r\n"))
	if err := errors.Join(e1, w.Flush()); err != nil {
		return nil, err
	}
	got := make([]byte, len("+ idling\r\n"))
	_, err = io.ReadFull(flate.NewReader(nc), got)
	return nc, err
}
