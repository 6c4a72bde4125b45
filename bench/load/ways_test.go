package load_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/bench/load"
)

// An LMTP server answers for each recipient.
func TestLMTP(t *testing.T) {
	for name, o := range map[string]load.Options{"joined": {}, "strict": {Strict: true}} {
		t.Run(name, func(t *testing.T) {
			ends := 0
			f := &fake{lmtp: true, extensions: []string{"PIPELINING"}, reply: func(command string) string {
				if command != "." {
					return ""
				}
				if ends++; ends%3 == 0 {
					return "550 5.2.2 full"
				}
				return ""
			}}
			o.Address, o.LMTP, o.Messages, o.Recipients, o.Users = f.start(t), true, 20, load.FixedRecipients(3), 10
			r := run(t, o)
			if r.Accepted != 20 || r.AcceptedDuties != 40 || r.RefusedDuties != 20 || r.Err != nil || f.said("LHLO") != 1 {
				t.Errorf("%+v", r)
			}
			if n := f.said("RCPT TO:<u"); n != 60 {
				t.Errorf("%d recipients", n)
			}
		})
	}
}

// A message that got a 4xx is offered again, with the number it had.
func TestTries(t *testing.T) {
	for name, o := range map[string]load.Options{"joined": {}, "strict": {Strict: true}, "open": {Pace: pace(t, "constant:1000")}, "fresh": {PerConnection: 1}} {
		t.Run(name, func(t *testing.T) {
			seen := map[string]int{}
			var mu sync.Mutex
			f := &fake{extensions: []string{"PIPELINING"}, reply: func(command string) string {
				mu.Lock()
				defer mu.Unlock()
				if !strings.HasPrefix(command, "RCPT") {
					return ""
				}
				seen[command]++
				switch n := seen[command]; {
				case strings.Contains(command, "<r7."):
					return "550 5.1.1 never"
				case n == 1 || strings.Contains(command, "<r9."):
					return "451 4.7.1 greylisted"
				}
				return ""
			}}
			o.Address, o.Conns, o.Messages, o.Tries, o.RetryAfter = f.start(t), 2, 40, 3, 50*time.Millisecond
			r := run(t, o)
			if r.Accepted != 38 || r.Refused != 2 || r.Retried != 40 || r.Sent != 40 || r.Err != nil {
				t.Errorf("%+v", r)
			}
			if m := r.Response.Min(); m < 50_000 {
				t.Errorf("a response of %d us", m)
			}
		})
	}
}

// A message that a lost connection left unsent is offered again as well.
func TestTriesAfterLoss(t *testing.T) {
	n := 0
	var mu sync.Mutex
	f := &fake{reply: func(command string) string {
		mu.Lock()
		defer mu.Unlock()
		if command == "DATA" {
			if n++; n%3 == 1 {
				return "drop"
			}
		}
		return ""
	}}
	r := run(t, load.Options{Address: f.start(t), Messages: 10, Tries: 5, RetryAfter: time.Millisecond, Failures: -1})
	if r.Accepted != 10 || r.Unsent != 0 || r.Retried == 0 || r.Retried != r.Failures {
		t.Errorf("%+v", r.Counts)
	}
}

// A server that says 421 to a text has refused it: nothing is unknown.
func TestClosing(t *testing.T) {
	f := &fake{extensions: []string{"PIPELINING"}, reply: func(command string) string {
		if command == "." {
			return "421 4.3.2 going down"
		}
		return ""
	}}
	r := run(t, load.Options{Address: f.start(t), Messages: 3, Failures: 2, Pace: pace(t, "constant:1000")})
	if r.Refused != 2 || r.Unknown != 0 || r.Failures != 2 || r.Err == nil {
		t.Errorf("%+v", r)
	}
}
