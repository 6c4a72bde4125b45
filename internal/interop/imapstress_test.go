//go:build interop

package interop

import (
	"context"
	"net"
	"testing"
	"time"

	"postrider/access/imap/imaptest"
)

// The client that watches over us finds nothing to say of Dovecot: what it reports
// of us is no opinion of its own.
func TestDovecotStress(t *testing.T) {
	d := startDovecotIMAP(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stats, err := imaptest.Stress(ctx, &imaptest.Options{
		Dial: func() (net.Conn, error) { return net.Dial("tcp", d.imap) },
		User: "stress@isp.example", Password: dovecotPassword, Boxes: []string{"INBOX", "Work", "Work/old"},
		Sessions: 4, Seed: 1, Loose: true, Ledger: imaptest.NewLedger(),
	})
	t.Log(stats, err)
	if err != nil {
		t.Error(err)
	}
}
