//go:build !race

package imap_test

import (
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
)

// The answers for whole mailboxes are made without allocating, however they are made.
func TestAllocFetch(t *testing.T) {
	const n = 2000
	store, err := mailbox.Open(mailbox.Options{FS: vfs.NewMem(), Dir: "store", SegmentBytes: 16 << 20, ReserveBytes: -1, CompactEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, store: store}
	h.furnish()
	in := h.box("INBOX")
	var wg sync.WaitGroup
	for k := range 16 {
		wg.Go(func() {
			for i := k; i < n; i += 16 {
				d := &mailbox.Delivery{Text: text(mailOf(i)), Targets: []mailbox.Target{{Mailbox: in, Prefix: []byte("Return-Path: <>\r\n")}}}
				if err := h.store.Deliver(t.Context(), d); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	f := &flood{tb: t, nc: login(t, h.serve()(), "INBOX").nc, buf: make([]byte, 256<<10)}
	for _, command := range []string{
		"z UID FETCH 1:* (FLAGS)\r\n",
		"z FETCH 1:* (FLAGS UID RFC822.SIZE ENVELOPE)\r\n",
		"z FETCH 1:* (UID INTERNALDATE BODYSTRUCTURE PREVIEW EMAILID SAVEDATE)\r\n",
		"z UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type)])\r\n",
		"z FETCH 1:* (BODY.PEEK[1]<5.10>)\r\n",
		"z FETCH 1:* (BODY.PEEK[])\r\n",
	} {
		least := testing.AllocsPerRun(1, func() { f.do(command) })
		for range 4 { // the index works in the background
			least = min(least, testing.AllocsPerRun(1, func() { f.do(command) }))
		}
		if got := least / n; got > 0.01 {
			t.Errorf("%.40q: %v allocations a message", command, got)
		}
	}
}
