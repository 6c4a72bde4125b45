package bounce_test

import (
	"fmt"
	"testing"
	"time"

	"postrider/internal/mail"
	"postrider/relay/bounce"
)

// Who gets which notice.
// Covers B1, B2, B3, B9, HB1, HB2, HL1.
func TestOwed(t *testing.T) {
	const never, success, failure, delay = mail.NotifyNever, mail.NotifySuccess, mail.NotifyFailure, mail.NotifyDelay
	tests := []struct {
		what   string
		sender string
		from   bool // from a client that may not relay
		notify mail.Notify
		owed   string // first letters of the kinds that are owed: f d s r e
	}{
		{"no NOTIFY", "a@example.org", false, 0, "fd"},
		{"NEVER", "a@example.org", false, never, ""},
		{"FAILURE", "a@example.org", false, failure, "f"},
		{"DELAY", "a@example.org", false, delay, "d"},
		{"SUCCESS", "a@example.org", false, success, "sre"},
		{"all", "a@example.org", false, success | failure | delay, "fdsre"},
		{"null sender", "", false, success | failure | delay, ""},
		{"null sender, no NOTIFY", "", false, 0, ""},
		{"a stranger, who may have forged the sender", "a@example.org", true, success | failure | delay, ""},
		{"a stranger, no NOTIFY", "a@example.org", true, 0, ""},
		{"a mail system that says who it is", "MAILER-DAEMON@example.org", false, failure, ""},
		{"a mail system in lower case", "mailer-daemon@example.org", false, 0, ""},
		{"a mail system's own bounces", "double-bounce@example.org", false, 0, ""},
		{"somebody with a similar name", "mailer-daemons@example.org", false, 0, "fd"},
		{"somebody who quotes it", `"mailer daemon"@example.org`, false, 0, "fd"},
	}
	for _, tt := range tests {
		var e mail.Envelope
		e.Sender, e.Foreign = e.Keep([]byte(tt.sender)), tt.from
		e.AddRecipient([]byte("b@example.net"), tt.notify, nil)
		got := ""
		for k := bounce.Failure; k <= bounce.Expanded; k++ {
			if bounce.Owed(&e, 0, k) {
				got += k.String()[:1]
			}
		}
		if got != tt.owed {
			t.Errorf("%s: %q, want %q", tt.what, got, tt.owed)
		}
	}
}

// A notice is owed no notice itself, so that a loop ends with the first one.
// Covers HB1, HL1.
func TestNoticeAboutNotice(t *testing.T) {
	n := notice(bounce.Failure, "a@example.org", "b@example.net")
	n.Recipients[0].Status = mail.NewStatus(554, 5, 4, 6, "the message loops")
	r, c, _ := compose(t, n)
	if r.persons[0].Get("Status") != "5.4.6" {
		t.Errorf("%v", r.persons[0])
	}
	var e mail.Envelope
	n.FillEnvelope(&e, c)
	for k := bounce.Failure; k <= bounce.Expanded; k++ {
		if bounce.Owed(&e, 0, k) {
			t.Errorf("%v is owed for a notice", k)
		}
	}
}

// Covers B3.
func TestTold(t *testing.T) {
	tests := []struct {
		hop  mail.HopKind
		dsn  bool
		kind bounce.Kind
		owed bool
	}{
		{mail.HopLocal, false, bounce.Success, true},
		{mail.HopLMTP, true, bounce.Success, true},
		{mail.HopMX, false, bounce.Relayed, true},
		{mail.HopMX, true, bounce.Relayed, false},
		{mail.HopSMTP, false, bounce.Relayed, true},
		{mail.HopSMTP, true, bounce.Relayed, false},
		{mail.HopDiscard, false, 0, false},
		{mail.HopHold, false, 0, false},
	}
	for _, tt := range tests {
		if kind, owed := bounce.Told(tt.hop, tt.dsn); kind != tt.kind || owed != tt.owed {
			t.Errorf("%v %v: %v %v", tt.hop, tt.dsn, kind, owed)
		}
	}
}

// Covers B9.
func TestGuard(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	g := bounce.NewGuard(bounce.GuardOptions{PerVictim: 10, All: 25, Entries: 8})
	allowed := func(at time.Time, victim string, tries int) (n int) {
		for range tries {
			if g.Allow(at, []byte(victim)) {
				n++
			}
		}
		return n
	}
	if n := allowed(now, "v@example.org", 50); n != 10 {
		t.Errorf("%d to one address at once", n)
	}
	if n := allowed(now, "V@Example.Org", 50); n != 0 {
		t.Errorf("%d more in capitals", n)
	}
	if n := allowed(now.Add(30*time.Minute), "v@example.org", 50); n != 5 {
		t.Errorf("%d after half an hour", n)
	}
	// Half of the 25 were paid off by now.
	if n := allowed(now.Add(30*time.Minute), "w@example.org", 50); n != 10 {
		t.Errorf("%d to another address", n)
	}
	if n := allowed(now.Add(30*time.Minute), "x@example.org", 50) + allowed(now.Add(30*time.Minute), "y@example.org", 50); n != 10 {
		t.Errorf("%d more, beyond what may leave in all", n)
	}
	for i := range 1000 {
		g.Allow(now.Add(time.Duration(i)*time.Hour), fmt.Appendf(nil, "u%d@example.org", i))
		if g.Len() > 8 {
			t.Fatalf("%d addresses are remembered", g.Len())
		}
	}
	// The clock was set back by years: nobody is locked out for as long.
	if n := allowed(now.Add(-10000*time.Hour), "v@example.org", 50); n != 10 {
		t.Errorf("%d after the clock was set back", n)
	}
	g = bounce.NewGuard(bounce.GuardOptions{All: 25})
	if n := allowed(now, "v@example.org", 50); n != 25 || g.Len() != 0 {
		t.Errorf("%d to one address without a bound for it, %d remembered", n, g.Len())
	}
}
