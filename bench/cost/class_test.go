package cost

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Servers of every class, killed and traced.
func TestVerify(t *testing.T) {
	for _, test := range []struct{ mode, class, by string }{
		{"memory", "D0", "accepted messages were gone"},
		{"cache", "D1", "no sync in 400 messages"},
		{"late", "D1", "for 0 of 20 messages of one connection"},
		{"each", "D2", "for 20 of 20 messages of one connection and 400 of 400 of 16 connections; 1.00 syncs"},
		{"group", "D3", "for 20 of 20 messages of one connection and 400 of 400 of 16 connections; 0.2"},
	} {
		t.Run(test.mode, func(t *testing.T) {
			t.Parallel()
			p := startToy(t, test.mode)
			v, err := Verify(t.Context(), Server{Send: p.send, Kill: p.kill, Restart: p.start, Remaining: p.remaining, PIDs: p.pids, Settle: 300 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := exec.LookPath("strace"); err != nil && test.class != "D0" {
				test.class, test.by = "D1", ErrNoStrace.Error()
			}
			if v.Class != test.class || !strings.Contains(v.By, test.by) {
				t.Errorf("%s: %s; want %s: %s", v.Class, v.By, test.class, test.by)
			}
		})
	}
}
