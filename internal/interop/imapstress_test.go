//go:build interop

package interop

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"postrider/access/imap/imaptest"
)

// stressTime is how long the sessions work.
func stressTime() time.Duration {
	if os.Getenv("SOAK") == "1" {
		return 30 * time.Minute
	}
	return 2 * time.Minute
}

func (s *imapServer) stress(sessions int, seed uint64, ledger *imaptest.Ledger) *imaptest.Options {
	return &imaptest.Options{
		Dial: s.dialTLS, User: "stress@isp.example", Password: popPassword, Boxes: []string{"INBOX", "Work", "Work/old"},
		Sessions: sessions, Seed: seed, Ledger: ledger,
	}
}

// Sessions that work at random on the same mailboxes are told nothing that breaks a
// rule, lose nothing and agree at the end; then nothing is wrong with the store.
//
// Covers HI10.
func TestIMAPStress(t *testing.T) {
	s := newIMAPServer(t, 0, "stress")
	seed := uint64(time.Now().UnixNano())
	ctx, cancel := context.WithTimeout(t.Context(), stressTime())
	defer cancel()
	stats, err := imaptest.Stress(ctx, s.stress(8, seed, imaptest.NewLedger()))
	t.Log(seed, stats)
	if err != nil {
		t.Fatal(err)
	}
	if out, code := s.command("mbox", "fsck"); code != 0 {
		t.Errorf("check: %d\n%s", code, out)
	}
	if code := s.signal(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if lines := s.events(`"panic`); len(lines) > 0 {
		t.Errorf("panics: %.1000q", lines)
	}
}

// Nothing that was acknowledged is lost when the server is killed while sessions add,
// change, move and remove messages.
//
// Covers HI10.
func TestIMAPKilled(t *testing.T) {
	s := newIMAPServer(t, 0, "stress")
	ledger := imaptest.NewLedger()
	for round := range 5 {
		o := s.stress(5, uint64(round), ledger)
		o.Killed = true
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		ended := make(chan error, 1)
		go func() {
			_, err := imaptest.Stress(ctx, o)
			ended <- err
		}()
		_, before := ledger.Counts()
		if !await(50*time.Second, func() bool { _, given := ledger.Counts(); return given > before+400 }) {
			t.Error("too little was acknowledged")
		}
		from := ledger.Now()
		s.signal(syscall.SIGKILL)
		to := ledger.Now()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		cancel()
		s.start()
		if !await(20*time.Second, func() bool { return dials(s.imaps) }) {
			t.Fatal("IMAP is not served again")
		}
		if err := imaptest.Inspect(o, from, to); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		_, given := ledger.Counts()
		t.Logf("round %d: %d promises kept", round, given)
	}
}

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
	t.Log(stats)
	if err != nil {
		t.Error(err)
	}
}
