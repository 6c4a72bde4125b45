package mailbox_test

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postrider/delivery/mailbox"
	"postrider/internal/mail"
)

// letter is a plausible message of about n bytes.
func letter(n int) text {
	var b bytes.Buffer
	b.WriteString("Received: from client.example (client.example [192.0.2.1])\r\n\tby mx.example with ESMTP id 01J0000000000000000000000;\r\n\tSat, 28 Nov 2026 04:00:00 +0000\r\n" +
		"From: Some Body <somebody@sender.example>\r\nTo: Any Body <anybody@receiver.example>\r\nSubject: About the thing\r\nDate: Sat, 28 Nov 2026 04:00:00 +0000\r\n" +
		"Message-ID: <0123456789.abcdef@sender.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
	for b.Len() < n {
		b.WriteString("The quick brown fox jumps over the lazy dog, again and again, until the line is full.\r\n")
	}
	return b.Bytes()[:n]
}

var prefix = []byte("Return-Path: <somebody@sender.example>\r\nDelivered-To: anybody@receiver.example\r\n")

func users(b testing.TB, s *mailbox.Store, n int) []*mailbox.Mailbox {
	boxes := make([]*mailbox.Mailbox, n)
	var wg sync.WaitGroup
	next := make(chan int)
	for range 64 {
		wg.Go(func() {
			for i := range next {
				a, err := s.CreateAccount(b.Context(), fmt.Sprintf("user%d@example", i))
				if err == nil {
					boxes[i], err = a.Mailbox("INBOX")
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return boxes
}

// BenchmarkDeliver files messages of 8 KiB into 1000 mailboxes on a real disk.
func BenchmarkDeliver(b *testing.B) {
	for _, writers := range []int{1, 16, 64, 128} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			var syncs, records atomic.Int64
			s, err := mailbox.Open(mailbox.Options{Dir: b.TempDir(), Metrics: &mailbox.Metrics{Group: func(n, _ int, _, _ time.Duration) {
				syncs.Add(1)
				records.Add(int64(n))
			}}})
			if err != nil {
				b.Fatal(err)
			}
			boxes := users(b, s, 1000)
			body := letter(8 << 10)
			var n atomic.Int64
			syncs.Store(0)
			records.Store(0)
			b.SetBytes(8 << 10)
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					d := mailbox.Delivery{Text: body, Targets: make([]mailbox.Target, 1)}
					for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
						d.Key = mail.MakeID(i, 1, 1, uint32(i))
						d.Targets[0] = mailbox.Target{Mailbox: boxes[i%1000], Prefix: prefix}
						if err := s.Deliver(b.Context(), &d); err != nil {
							b.Error(err)
						}
						s.Forget(d.Key)
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			b.ReportMetric(float64(records.Load())/float64(max(syncs.Load(), 1)), "records/sync")
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkOpen opens a mailbox of 100,000 messages.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, err := mailbox.Open(mailbox.Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	boxes := users(b, s, 1)
	body := letter(500)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 100_000 / 64 {
				d := mailbox.Delivery{Text: body, Targets: []mailbox.Target{{Mailbox: boxes[0], Prefix: prefix}}}
				if err := s.Deliver(b.Context(), &d); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	var opened, stat, view, scan, cursor, cached time.Duration
	for range b.N {
		at := time.Now()
		lap := func(d *time.Duration) {
			*d += time.Since(at)
			at = time.Now()
		}
		if s, err = mailbox.Open(mailbox.Options{Dir: dir}); err != nil {
			b.Fatal(err)
		}
		lap(&opened)
		a, err := s.Account("user0@example")
		if err != nil {
			b.Fatal(err)
		}
		m, err := a.Mailbox("INBOX")
		if err != nil || m.Status().Messages < 99_000 {
			b.Fatal(err)
		}
		lap(&stat)
		v, err := m.View()
		if err != nil {
			b.Fatal(err)
		}
		lap(&view)
		n := 0
		if err := v.Scan(1, 1<<32-1, func(*mailbox.Meta) bool { n++; return true }); err != nil || n != v.Len() {
			b.Fatal(err)
		}
		lap(&scan)
		for range 2 { // the second time with warm caches
			at = time.Now()
			cursor, cached = cached, 0
			var c mailbox.Cursor
			if err := v.Cursor(&c, mailbox.WantStructure); err != nil {
				b.Fatal(err)
			}
			v.Each(0, func(_ int, e mailbox.Entry) bool {
				there, err := c.Move(e.UID)
				if err != nil || !there || len(c.Items.Envelope) == 0 {
					b.Fatal(there, err)
				}
				return true
			})
			if err := c.Close(); err != nil {
				b.Fatal(err)
			}
			lap(&cached)
		}
		v.Close()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	for name, d := range map[string]time.Duration{"open": opened, "stat": stat, "view": view, "scan": scan, "cursor": cursor, "cached": cached} {
		b.ReportMetric(d.Seconds()*1000/float64(b.N), name+"-ms")
	}
}
