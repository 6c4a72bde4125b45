//go:build !race

package imap_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"sync"
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
