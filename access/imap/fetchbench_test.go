package imap_test

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postrider/delivery/mailbox"
)

var fetchMessages = flag.Int("fetch.messages", 5000, "messages of the mailbox that BenchmarkFetch reads")

var fetchCache = flag.Int("fetch.cache", 64, "MiB of the index that are kept in memory")

// mailOf is a message as they come: some 2 KiB, of which half is header.
func mailOf(i int) string {
	return strings.ReplaceAll(fmt.Sprintf(`Received: from client.example (client.example [192.0.2.1])
	by mx.example with ESMTPS id 01J%020d;
	Sat, 28 Nov 2026 04:00:00 +0000
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=sender.example; s=k1;
	h=from:to:subject:date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;
	b=%0200d
From: "Some Body %d" <somebody%d@sender.example>
To: Any Body <user@mx.example>, Other <other@mx.example>
Cc: third@mx.example
Subject: About the thing number %d
Date: Sat, 28 Nov 2026 04:00:00 +0000
Message-ID: <%020d.abcdef@sender.example>
In-Reply-To: <%020d.abcdef@sender.example>
References: <%020d.abcdef@sender.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
X-Mailer: Example 1.0

`, i, i, i, i%97, i, i, i-1, i-1), "\n", "\r\n") + strings.Repeat("The quick brown fox jumps over the lazy dog, again and again.\r\n", 16)
}

// stocked returns a store on disk in which user@mx.example has n messages.
func stocked(tb testing.TB, n int) *house {
	tb.Helper()
	o := mailbox.Options{Dir: tb.TempDir(), CacheBytes: int64(*fetchCache) << 20}
	open := func() *house {
		store, err := mailbox.Open(o)
		if err != nil {
			tb.Fatal(err)
		}
		return &house{t: tb, store: store}
	}
	h := open()
	in := h.box("INBOX")
	prefix := []byte("Return-Path: <somebody@sender.example>\r\nDelivered-To: user@mx.example\r\n")
	var wg sync.WaitGroup
	for k := range 32 {
		wg.Go(func() {
			for i := k; i < n; i += 32 {
				d := &mailbox.Delivery{Text: text(mailOf(i)), Targets: []mailbox.Target{{Mailbox: in, Prefix: prefix}}}
				if err := h.store.Deliver(tb.Context(), d); err != nil {
					tb.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := h.store.Close(); err != nil { // what was written is on the disk then
		tb.Fatal(err)
	}
	h = open()
	h.furnish()
	return h
}

// flood is a client that reads as fast as it can.
type flood struct {
	tb  testing.TB
	nc  net.Conn
	buf []byte
}

// do sends a command with the tag "z" and reads to its end; it returns how many octets
// came before the last line.
func (f *flood) do(command string) (octets int) {
	f.tb.Helper()
	if err := f.nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		f.tb.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := f.nc.Write([]byte(command))
		sent <- err
	}()
	defer func() {
		if err := <-sent; err != nil {
			f.tb.Error(err)
		}
	}()
	keep := 0
	for {
		n, err := f.nc.Read(f.buf[keep:])
		if err != nil {
			f.tb.Fatalf("%v after %d octets, %d kept: %q", err, octets, keep, f.buf[:keep])
		}
		octets += n
		b := f.buf[:keep+n]
		if bytes.HasSuffix(b, []byte("\r\n")) {
			last := bytes.LastIndexByte(b[:len(b)-2], '\n') + 1
			if line := b[last:]; bytes.HasPrefix(line, []byte("z OK")) {
				return octets
			} else if bytes.HasPrefix(line, []byte("z ")) {
				f.tb.Fatalf("%.60s: %s", command, line)
			}
		}
		keep = copy(f.buf, b[max(len(b)-200, 0):])
	}
}

// BenchmarkFetch tells how many messages a second there are in the answers that clients
// ask for. The client is in the same process and takes its share.
func BenchmarkFetch(b *testing.B) {
	n := *fetchMessages
	h := stocked(b, n)
	c := login(b, h.serve()(), "INBOX")
	f := &flood{tb: b, nc: c.nc, buf: make([]byte, 256<<10)}
	var single strings.Builder
	for i := 1; i < n && i <= 5000; i++ {
		fmt.Fprintf(&single, "a UID FETCH %d (BODY.PEEK[])\r\n", i)
	}
	fmt.Fprintf(&single, "z UID FETCH %d (BODY.PEEK[])\r\n", min(n, 5000))
	for _, bench := range []struct{ name, command string }{
		{"Flags", "z UID FETCH 1:* (FLAGS)\r\n"},
		{"Envelope", "z FETCH 1:* (FLAGS UID RFC822.SIZE ENVELOPE)\r\n"},
		{"Fields", "z UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type)])\r\n"},
		{"Structure", "z FETCH 1:* (FLAGS UID BODYSTRUCTURE)\r\n"},
		{"Bodies", "z FETCH 1:* (UID BODY.PEEK[])\r\n"},
		{"Singles", single.String()},
		{"Changed", "z UID FETCH 1:* (FLAGS) (CHANGEDSINCE 999999999)\r\n"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			f.do(bench.command)
			octets, count, used := 0, n, processTime(b)
			b.ResetTimer()
			if bench.name == "Singles" {
				count = min(n, 5000)
			}
			for range b.N {
				octets += f.do(bench.command)
			}
			b.ReportMetric(float64(b.N*count)/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric(float64((processTime(b)-used).Nanoseconds())/float64(b.N*count), "cpu-ns/message")
			b.ReportMetric(float64(octets)/1e6/b.Elapsed().Seconds(), "MB/s")
		})
	}
}

// processTime is the processor's time that was used so far.
func processTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkStore tells what a change of the flags of 10,000 messages takes.
func BenchmarkStore(b *testing.B) {
	h := stocked(b, 10_000)
	f := &flood{tb: b, nc: login(b, h.serve()(), "INBOX").nc, buf: make([]byte, 256<<10)}
	for b.Loop() {
		f.do("z STORE 1:* +FLAGS.SILENT (\\Flagged)\r\n")
		f.do("z STORE 1:* -FLAGS (\\Flagged)\r\n")
	}
	b.ReportMetric(b.Elapsed().Seconds()*1000/float64(2*b.N), "ms/STORE")
}
