//go:build interop

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"postrider/bench/cost"
	"postrider/bench/target"
)

// rateLimits says what must be reached. In CI the machine is shared and the mailbox
// small: there it is enough not to be slower than Dovecot.
func rateLimits() bool { return os.Getenv("IMAP_RATE") == "full" }

// rateMessages is the size of the mailbox: IMAP_RATE_MESSAGES=100000 is the large one.
func rateMessages(t *testing.T, usual int) int {
	text := os.Getenv("IMAP_RATE_MESSAGES")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// rateSide is a server with the mailbox in it.
type rateSide struct {
	in   target.Instance
	user string
	conn *imapCounter // with the mailbox selected
}

// cost is the time that a command takes, and the CPU that the server uses for it.
type rateCost struct{ took, cpu time.Duration }

// run lets the server do what command asks.
func (s *rateSide) run(t *testing.T, command string, fetches int) rateCost {
	t.Helper()
	before, err := s.in.Meter().Sample()
	if err != nil {
		t.Fatal(err)
	}
	s.conn.t = t
	tally := s.conn.do(command)
	after, err := s.in.Meter().Sample()
	if err != nil {
		t.Fatal(err)
	}
	if fetches >= 0 && tally.fetches != fetches {
		t.Fatalf("%s tells of %d messages, not %d", command, tally.fetches, fetches)
	}
	return rateCost{tally.took, after.CPU() - before.CPU()}
}

// open logs in and selects the mailbox.
func (s *rateSide) open(t *testing.T) {
	t.Helper()
	s.conn = dialIMAP(t, s.in.IMAP(), s.user, "secret")
	s.conn.do("SELECT INBOX")
}

// thirteenFields are what Thunderbird asks of each message that it sees first.
const thirteenFields = "BODY.PEEK[HEADER.FIELDS (DATE SUBJECT FROM TO CC MESSAGE-ID REFERENCES IN-REPLY-TO CONTENT-TYPE REPLY-TO PRIORITY X-PRIORITY NEWSGROUPS)]"

// A client that is quicker than both servers lets us and Dovecot do the same on the
// same mailbox in turn; the ratio of the times is that of the programs. What it is
// on a machine is in the log.
func TestIMAPRate(t *testing.T) {
	n := rateMessages(t, 5000)
	ours, theirs := rateSides(t, n)
	bodies := min(n, 20_000)
	some := min(n, 10_000)
	for _, c := range []struct {
		what, command string
		fetches       int
		least         float64 // times as fast as Dovecot
		undo          string  // what makes the command do something again
	}{
		{"envelopes", "FETCH 1:* (FLAGS UID RFC822.SIZE ENVELOPE)", n, 5, ""},
		{"flags", "UID FETCH 1:* (FLAGS)", n, 2, ""},
		{"13 fields", "UID FETCH 1:* (UID RFC822.SIZE FLAGS " + thirteenFields + ")", n, 2, ""},
		{"structures", "FETCH 1:* (UID BODYSTRUCTURE)", n, 1, ""},
		{"bodies", fmt.Sprintf("FETCH 1:%d (BODY.PEEK[])", bodies), bodies, 2, ""},
		{"unseen", "UID SEARCH UNSEEN", -1, 0, ""},
		{"subject", "UID SEARCH SUBJECT \"nowhere to be found\"", -1, 1, ""},
		{"mark", fmt.Sprintf("STORE 1:%d +FLAGS.SILENT (\\Answered)", some), -1, 1, fmt.Sprintf("STORE 1:%d -FLAGS.SILENT (\\Answered)", some)},
	} {
		t.Run(c.what, func(t *testing.T) {
			rounds := 3
			if rateLimits() {
				rounds = 5
			}
			var took, cpu [2][]float64
			var first [2]time.Duration
			for round := range rounds + 1 {
				for i, s := range []*rateSide{ours, theirs} {
					cost := s.run(t, c.command, c.fetches)
					if c.undo != "" {
						s.conn.do(c.undo)
					}
					if round == 0 { // the first warms the caches
						first[i] = cost.took
						continue
					}
					took[i], cpu[i] = append(took[i], cost.took.Seconds()), append(cpu[i], cost.cpu.Seconds())
				}
			}
			a, b := median(took[0]), median(took[1])
			t.Logf("%s of %d: first postrider %v, Dovecot %v", c.what, n, first[0], first[1])
			t.Logf("%s of %d: postrider %.2f ms (%.0f/s, CPU %.1f ms), Dovecot %.2f ms (%.0f/s, CPU %.1f ms): %.1f times as fast",
				c.what, n, a*1e3, float64(max(c.fetches, 1))/a, median(cpu[0])*1e3, b*1e3, float64(max(c.fetches, 1))/b, median(cpu[1])*1e3, b/a)
			least := min(c.least, 1)
			if rateLimits() {
				least = c.least
			}
			if rateLimits() && c.undo != "" && max(first[0].Seconds(), a) > 0.1 {
				t.Errorf("%s takes %v the first time and %.0f ms to and fro, not 100 ms", c.command, first[0], a*1e3)
			}
			if b < a*least {
				t.Errorf("%.2f times as fast as Dovecot, not %.0f: %.4v, %.4v", b/a, least, took[0], took[1])
			}
		})
	}
	t.Run("small", func(t *testing.T) { smallCommands(t, ours, theirs, n) })
	t.Run("first", func(t *testing.T) { firstExamine(t, ours, theirs) })
}

// smallCommands times what must not depend on the size of the mailbox.
func smallCommands(t *testing.T, ours, theirs *rateSide, n int) {
	for _, c := range []struct {
		what, command string
		most          time.Duration
	}{
		{"EXAMINE", "EXAMINE INBOX", time.Millisecond},
		{"STATUS", "STATUS INBOX (MESSAGES UNSEEN UIDNEXT UIDVALIDITY SIZE)", 500 * time.Microsecond},
		{"CHANGEDSINCE", "", time.Millisecond},
	} {
		var took [2][]float64
		for i, s := range []*rateSide{ours, theirs} {
			s.open(t)
			command := c.command
			if command == "" {
				command = tenChanges(t, s, n)
			}
			for range 51 {
				took[i] = append(took[i], s.run(t, command, -1).took.Seconds())
			}
		}
		a, b := median(took[0]), median(took[1])
		t.Logf("%s of %d: postrider %.3f ms, Dovecot %.3f ms", c.what, n, a*1e3, b*1e3)
		if rateLimits() && a > c.most.Seconds() {
			t.Errorf("%s takes %.3f ms, not %v", c.what, a*1e3, c.most)
		}
	}
}

// tenChanges changes ten messages and returns the command that asks for them.
func tenChanges(t *testing.T, s *rateSide, n int) string {
	t.Helper()
	s.conn.do("STORE 1:* -FLAGS.SILENT (changed)")
	tally := s.conn.do("STATUS INBOX (HIGHESTMODSEQ)")
	_, digits, found := strings.Cut(string(tally.kept), "HIGHESTMODSEQ ")
	digits, _, _ = strings.Cut(digits, ")")
	if _, err := strconv.ParseUint(digits, 10, 64); !found || err != nil {
		t.Fatalf("HIGHESTMODSEQ: %q", tally.kept)
	}
	for i := range 10 {
		s.conn.do(fmt.Sprintf("STORE %d +FLAGS.SILENT (changed)", 1+i*(n/10)))
	}
	command := "UID FETCH 1:* (FLAGS) (CHANGEDSINCE " + digits + ")"
	if tally := s.conn.do(command); tally.fetches != 10 {
		t.Fatalf("%d messages have changed", tally.fetches)
	}
	return command
}

// firstExamine times the first EXAMINE and the first search of processes that were
// just started.
func firstExamine(t *testing.T, ours, theirs *rateSide) {
	for _, s := range []*rateSide{ours, theirs} {
		if err := s.in.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := cost.AwaitIdle(t.Context(), s.in.Meter(), 10*time.Second); err != nil {
			t.Fatal(err) // what is tidied up after a start takes as much of the machine
		}
		s.conn = dialIMAP(t, s.in.IMAP(), s.user, "secret")
		examine := s.run(t, "EXAMINE INBOX", -1)
		search := s.run(t, "UID SEARCH SUBJECT \"nowhere to be found\"", -1)
		t.Logf("%s, just started: EXAMINE %v, SEARCH SUBJECT %v", s.in.Info().Name, examine.took, search.took)
		if s == ours && rateLimits() && examine.took > 20*time.Millisecond {
			t.Errorf("the first EXAMINE takes %v", examine.took)
		}
	}
}

// rateSides starts both servers with the same mailbox: that of Dovecot is a Maildir,
// ours is imported from it.
func rateSides(t *testing.T, n int) (ours, theirs *rateSide) {
	t.Helper()
	dir := sharedDir(t)
	theirs = &rateSide{user: "u0@mail.bench.test"}
	theirs.in = startTarget(t, "dovecot", target.Need{Dir: dir, Mailboxes: 1, Conns: 20})
	maildir := filepath.Join(theirs.in.DataDir(), "u0", "Maildir")
	writeMaildir(t, maildir, n)
	began := time.Now()
	theirs.open(t)
	t.Logf("Dovecot opens a Maildir of %d for the first time in %v", n, time.Since(began))

	dir = sharedDir(t) + "/ours"
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ours = &rateSide{user: theirs.user}
	ours.in = startTarget(t, "postrider", target.Need{Dir: dir, Mailboxes: 1, Conns: 20})
	began = time.Now()
	config := filepath.Join(dir, "postrider.toml")
	if out, err := tool(t, "", binary(t, "postrider"), "mbox", "import", ours.user, maildir, "-c", config); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("imported in %v", time.Since(began))
	ours.open(t)
	return ours, theirs
}
