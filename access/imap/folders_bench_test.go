package imap_test

import (
	"context"
	"fmt"
	"testing"

	"postrider/delivery/mailbox"
)

// BenchmarkFolders has a client ask for what clients ask for of mailboxes, one command at
// a time over loopback: an INBOX of 100,000 messages, one of which is new, and 2,000
// other mailboxes.
func BenchmarkFolders(b *testing.B) {
	h := newHouse(b)
	h.deliver("INBOX", "Subject: one\r\n\r\n")
	in := h.box("INBOX")
	for in.Status().Messages < 100_000 {
		if _, err := in.Copy(context.Background(), []mailbox.Range{{From: 1, To: 2048}}, in); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 2000 {
		h.box(fmt.Sprintf("folder %d/below %d", i%40, i))
	}
	c := login(b, h.serve()(), "")
	c.ok("SELECT INBOX")
	c.ok("UNSELECT")
	h.deliver("INBOX", "Subject: new\r\n\r\n")
	for _, command := range []string{
		"NOOP",
		"STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT HIGHESTMODSEQ)",
		`LIST "" "*"`,
		`LIST "" "%"`,
		`LIST (SUBSCRIBED) "" "*" RETURN (CHILDREN SPECIAL-USE)`,
		`LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN))`,
		`LIST "" "*a*b*%w*9*"`,
		`GETMETADATA INBOX /private/comment`,
	} {
		b.Run(command, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				c.ok(command)
			}
		})
	}
}
