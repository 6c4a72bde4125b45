package imap_test

import (
	"context"
	"fmt"
	"net"
	"testing"

	"postrider/access/imap"
	"postrider/access/imap/imaptest"
	"postrider/delivery/mailbox"
)

// boxes are the mailboxes of the stress.
func boxes() []string { return []string{"INBOX", "Work", "Work/below"} }

// Sessions that work at random on the same mailboxes are told nothing that breaks a
// rule, lose nothing that was acknowledged, and agree at the end. A failure names its
// seed.
//
// Covers HI10.
func TestStress(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := newHouse(t, func(o *imap.Options) { o.Compress = true })
			dial := h.serve()
			stats, err := imaptest.Stress(t.Context(), &imaptest.Options{
				Dial: func() (net.Conn, error) { return dial(), nil },
				User: "user", Password: password, Boxes: boxes(),
				Sessions: 5, Steps: 150, Seed: seed, Ledger: imaptest.NewLedger(),
			})
			t.Log(stats)
			if err != nil {
				t.Error(err)
			}
			_, err = h.store.Fsck(context.Background(), true, func(f mailbox.Finding) { t.Error(f) })
			if err != nil {
				t.Error(err)
			}
		})
	}
}
