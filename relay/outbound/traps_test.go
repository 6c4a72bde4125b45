package outbound_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/mail"
	"postrider/relay/outbound"
)

// Recipients that were too many for one transaction stay untried when the others
// have been served, and the next transaction is no larger; those whose refusal
// is about themselves, or who were not the first too many, wait like any other.
// Covers D12.
func TestTooMany(t *testing.T) {
	for _, c := range []struct {
		name  string
		rcpts string // replies to RCPT, "|" between them
		end   string
		want  string
		next  int // recipients of the next transaction, of as many as the first had
	}{
		{"452", "250 x|250 x|452 4.5.3 many|452 4.5.3 many", "250 x", "250 2.0.0 x, 250 2.0.0 x, -, - (sent)", 2},
		{"552", "250 x|552 5.5.3 many|552 many", "250 x", "250 2.0.0 x, -, - (sent)", 1},
		{"bare 452", "250 x|452 many", "250 x", "250 2.0.0 x, - (sent)", 1},
		{"not served", "250 x|452 4.5.3 many", "451 4.3.0 later", "451 4.3.0 later, 452 4.5.3 many (sent)", 1},
		{"552, not served", "250 x|552 many", "451 4.3.0 later", "451 4.3.0 later, 452 4.5.3 many (sent)", 1},
		{"nobody", "452 4.5.3 many|452 4.5.3 many", "", "452 4.5.3 many, 452 4.5.3 many", 2},
		{"mailbox full", "250 x|452 4.2.2 full", "250 x", "250 2.0.0 x, 452 4.2.2 full (sent)", 2},
		{"mailbox full for good", "250 x|552 5.2.2 full", "250 x", "250 2.0.0 x, 552 5.2.2 full (sent)", 2},
		{"one in the middle", "250 x|452 slow|250 x", "250 x", "250 2.0.0 x, 452 4.0.0 slow, 250 2.0.0 x (sent)", 3},
		{"another refusal behind", "250 x|452 many|550 no", "250 x", "250 2.0.0 x, -, 550 5.0.0 no (sent)", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			replies := strings.Split(c.rcpts, "|")
			var to []string
			script := "ehlo PIPELINING\nC: MAIL FROM:<s@x>\n"
			for i := range replies {
				to = append(to, string(rune('a'+i))+"@y")
				script += "C: RCPT TO:<" + to[i] + ">\n"
			}
			script += "C: DATA\nS: 250 ok\nS: " + strings.Join(replies, "\nS: ") + "\n"
			if c.end == "" {
				script += "S: 554 nobody\nC: RSET\n"
			} else {
				script += "S: 354 go\nC: Subject: x\nC:\nC: ..hello\nC: .\n"
			}
			script += "C: MAIL FROM:<s@x>\n"
			for i := range c.next {
				script += "C: RCPT TO:<" + to[i] + ">\n"
			}
			script += "C: DATA\n"
			if c.end == "" {
				script += "S: 250 reset\n"
			} else {
				script += "S: " + c.end + "\n"
			}
			script += "S: 550 no\n" + strings.Repeat("S: 503 x\n", c.next+1) + "C: QUIT"
			d, next := delivery(&hello, "s@x", to...), delivery(&hello, "s@x", to...)
			hop := scripted(t, script)
			// What broke or not is seen by the outcomes.
			_ = outbound.New(outbound.Options{Timeouts: quick}).Serve(t.Context(), nil, &mail.Egress{Hop: hop}, newSource(t, d, next))
			if got := outcomes(d); got != c.want+"\n" {
				t.Errorf("outcomes %q, not %q", got, c.want)
			}
			for i, o := range next.Outcomes {
				if o.IsZero() != (i >= c.next) {
					t.Errorf("next, recipient %d: %v", i, o)
				}
			}
		})
	}
}

// The limits of an Egress hold for a connection and for a transaction.
// Covers D3.
func TestEgressLimits(t *testing.T) {
	hop := scripted(t, `
		ehlo PIPELINING
		C: MAIL FROM:<s@x>
		C: RCPT TO:<a@y>
		C: RCPT TO:<b@y>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 250 ok
		S: 354 go
		C: Subject: x
		C:
		C: ..hello
		C: .
		S: 250 taken
		C: QUIT`)
	one, two := delivery(&hello, "s@x", "a@y", "b@y", "c@y"), delivery(&hello, "s@x", "a@y")
	src := newSource(t, one, two)
	eg := &mail.Egress{Hop: hop, MaxMessages: 1, MaxRecipients: 2}
	if err := outbound.New(outbound.Options{Timeouts: quick}).Serve(t.Context(), nil, eg, src); err != nil {
		t.Fatal(err)
	}
	if got := outcomes(one); got != "250 2.0.0 taken, 250 2.0.0 taken, - (sent)\n" || src.next != 1 {
		t.Errorf("outcomes %q, %d pulled", got, src.next)
	}
}

// A connection that always has something to do ends when it is old, and says
// goodbye; it is no failure.
// Covers D3.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &witness{offer: []string{"PIPELINING"}, trouble: func(string) string { return "" }}
		var wg sync.WaitGroup
		o := outbound.Options{Life: time.Minute, Timeouts: quick}
		o.Connect = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := wire(500 * time.Millisecond)
			wg.Go(func() { w.serve(theirs) })
			return ours, nil
		}
		var list []*mail.Delivery
		for range 500 {
			list = append(list, delivery(&hello, "s@x", "a@y"))
		}
		src := newSource(t, list...)
		began := time.Now()
		if err := outbound.New(o).Serve(t.Context(), nil, &mail.Egress{Hop: pipeHop}, src); err != nil {
			t.Error(err)
		}
		wg.Wait()
		src.settled()
		if took := time.Since(began); took < time.Minute || took > 65*time.Second {
			t.Errorf("served for %v", took)
		}
		if n := len(w.texts()); n != len(src.done) || n < 50 || n > 70 {
			t.Errorf("%d arrived of %d pulled", n, len(src.done))
		}
	})
}
