package search_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"postrider/access/imap/search"
	"postrider/delivery/mailbox"
)

// benchMessages is the size of the mailbox of the benchmarks.
const benchMessages = 100_000

// benchDir is a folder with the store of the benchmarks, which is made once: that of the
// variable SEARCH_STORE, which stays, or else one for this run.
func benchDir(b *testing.B) string {
	dir := os.Getenv("SEARCH_STORE")
	if dir == "" {
		dir = b.TempDir()
	}
	if _, err := os.Stat(dir + "/index"); err == nil {
		return dir
	}
	s, err := mailbox.Open(mailbox.Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	w := &world{store: s, box: inbox(b, s)}
	var batch []letter
	for i := range benchMessages {
		flags := mailbox.FlagSeen
		if i%1000 == 0 {
			flags = 0
		}
		batch = append(batch, letter{flags: flags, received: now.Add(time.Duration(i-benchMessages) * time.Minute), text: lines(
			"Received: from client.example (client.example [192.0.2.1])", "\tby mx.example with ESMTP id 01J0000000000000000000000;", "\tSat, 28 Nov 2026 04:00:00 +0000",
			fmt.Sprintf("From: Some Body <somebody%d@sender.example>", i%777), "To: Any Body <anybody@receiver.example>",
			fmt.Sprintf("Subject: About the thing number %d", i%5000), now.Add(time.Duration(i)*time.Minute).Format("Date: Mon, 2 Jan 2006 15:04:05 -0700"),
			fmt.Sprintf("Message-ID: <0123456789.%d@sender.example>", i), fmt.Sprintf("References: <0123456789.%d@sender.example>", i/2),
			"MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "", strings.Repeat("The quick brown fox jumps over the lazy dog.\r\n", 4))})
		if len(batch) == 1000 {
			w.file(b, batch...)
			batch = batch[:0]
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return dir
}

// openBench opens the store of the benchmarks.
func openBench(b *testing.B, dir string) (*mailbox.Store, *mailbox.View) {
	s, err := mailbox.Open(mailbox.Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	v, err := inbox(b, s).View()
	if err != nil {
		b.Fatal(err)
	}
	return s, v
}

// BenchmarkSearch searches a mailbox of 100,000 messages, whose index is in memory.
func BenchmarkSearch(b *testing.B) {
	s, v := openBench(b, benchDir(b))
	for _, keys := range []string{"UNSEEN", "SEEN", "1:50000 UNSEEN", "SINCE 1-Nov-2026", "SUBJECT nowhere", "FROM somebody7@", "HEADER X-Nothing nowhere", "SENTSINCE 1-Dec-2026", "UNSEEN SUBJECT nowhere", "BODY nowhere"} {
		b.Run(strings.ReplaceAll(keys, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			var f search.Found
			for b.Loop() {
				if err := parse(b, keys).Run(&search.Scope{View: v, Now: now}, search.Bound{}, &f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	v.Close()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFirst is the search in headers of a store that was just opened.
func BenchmarkFirst(b *testing.B) {
	dir := benchDir(b)
	for b.Loop() {
		b.StopTimer()
		s, v := openBench(b, dir)
		p := parse(b, "SUBJECT nowhere")
		var f search.Found
		b.StartTimer()
		if err := p.Run(&search.Scope{View: v, Now: now}, search.Bound{}, &f); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		v.Close()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkOrder sorts and threads the same mailbox.
func BenchmarkOrder(b *testing.B) {
	s, v := openBench(b, benchDir(b))
	scope := &search.Scope{View: v, Now: now}
	f := all(b, scope)
	for _, order := range []string{"(REVERSE ARRIVAL)", "(DATE)", "(SUBJECT)", "(FROM DATE)"} {
		b.Run("SORT_"+order, func(b *testing.B) {
			b.ReportAllocs()
			o := parseOrder(b, order)
			for b.Loop() {
				if _, err := o.Sort(scope, f, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for a, name := range []string{"ORDEREDSUBJECT", "REFERENCES"} {
		b.Run("THREAD_"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := search.Algorithm(a).Thread(scope, f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	v.Close()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
