//go:build interop

package interop

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// mbsync takes a whole mailbox from us and from Dovecot in turn, into folders that
// are empty before. It is slower than both, so that the CPU of the servers tells more
// than the time.
func TestMbsyncRate(t *testing.T) {
	n := rateMessages(t, 1000)
	ours, theirs := rateSides(t, n)
	const rounds = 3
	var took, cpu [2][]float64
	for round := range rounds + 1 {
		for i, s := range []*rateSide{ours, theirs} {
			cost := mbsyncAll(t, s, n)
			if round == 0 { // it warms the caches
				continue
			}
			took[i], cpu[i] = append(took[i], cost.took.Seconds()), append(cpu[i], cost.cpu.Seconds())
		}
	}
	t.Logf("mbsync of %d: postrider %.2f s with %.2f s of CPU, Dovecot %.2f s with %.2f s, ratios %.2f and %.2f", n,
		median(took[0]), median(cpu[0]), median(took[1]), median(cpu[1]), median(took[0])/median(took[1]), median(cpu[0])/median(cpu[1]))
	most := 1.5 // of Dovecot's CPU, on a machine that does other things too
	if rateLimits() {
		most = 0.5
		if median(took[0]) > median(took[1])*1.05 {
			t.Errorf("mbsync takes longer than from Dovecot: %.3v, %.3v", took[0], took[1])
		}
	}
	if median(cpu[0]) > most*median(cpu[1]) {
		t.Errorf("the server uses more than %.1f of the CPU of Dovecot: %.3v, %.3v", most, cpu[0], cpu[1])
	}
}

// mbsyncAll copies the mailbox and returns what it took.
func mbsyncAll(t *testing.T, s *rateSide, n int) rateCost {
	t.Helper()
	dir := t.TempDir()
	host, port, err := net.SplitHostPort(s.in.IMAP())
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "mbsyncrc")
	text := fmt.Sprintf(`FSync no

IMAPAccount far
Host %s
Port %s
User %s
Pass secret
SSLType None
AuthMechs LOGIN

IMAPStore far
Account far

MaildirStore near
Path %[4]s/mail/
Inbox %[4]s/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Near
SyncState *
`, host, port, s.user, dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "mail"), 0o700); err != nil {
		t.Fatal(err)
	}
	before, err := s.in.Meter().Sample()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	execute(t, dir, []int{0}, "mbsync", "-c", config, "-q", "all")
	took := time.Since(began)
	after, err := s.in.Meter().Sample()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "mail", "INBOX", "*", "*,*"))
	if err != nil || len(files) != n {
		t.Fatalf("%d messages were taken, not %d; %v", len(files), n, err)
	}
	return rateCost{took, after.CPU() - before.CPU()}
}
