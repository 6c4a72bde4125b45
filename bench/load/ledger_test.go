package load_test

import (
	"strings"
	"testing"

	"postrider/bench/ledger"
	"postrider/bench/load"
)

// receive tells l of what a fake server has got.
func (f *fake) receive(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, text := range f.texts {
		line, _, _ := strings.Cut(text, "\r\n")
		h, ok := ledger.ParseHeader([]byte(line))
		if !ok || h.Run != l.Run() || h.Worker < 0 {
			t.Fatalf("%q: %+v", line, h)
		}
		l.Delivered(h.Seq, 0, true)
		l.Order(h.Worker, h.Seq)
	}
}

// The ledger is told how each duty ended, whatever the way.
func TestLedger(t *testing.T) {
	rcpt := func(command string) string { // every third recipient is refused
		if seq, n, ok := ledger.ParseRecipient([]byte(strings.TrimPrefix(command, "RCPT TO:<"))); ok && (seq+uint64(n))%3 == 2 {
			return "550 5.1.1 no"
		}
		return ""
	}
	for name, o := range map[string]load.Options{
		"joined": {}, "strict": {Strict: true}, "open": {Pace: pace(t, "poisson:2000")}, "fresh": {PerConnection: 1}, "lmtp": {LMTP: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := ledger.New(12)
			f := &fake{extensions: []string{"PIPELINING"}, reply: rcpt, lmtp: o.LMTP}
			o.Address, o.Conns, o.Messages, o.Recipients, o.Ledger = f.start(t), 3, 60, load.FixedRecipients(3), l
			r := run(t, o)
			f.receive(t, l)
			n := l.Totals(0)
			if r.Accepted != 60 || n.Duties != 180 || n.Accepted != 120 || n.Refused != 60 || n.Unknown+n.Unsent != 0 || n.Once != 60 || n.Lost != 60 || n.OutOfOrder != 0 {
				t.Errorf("%+v\n%+v", r.Counts, n)
			}
		})
	}
}

// What a lost connection leaves behind is unknown or unsent.
func TestLedgerLoss(t *testing.T) {
	for at, want := range map[string][2]int64{".": {8, 0}, "DATA": {0, 8}} {
		l := ledger.New(12)
		f := &fake{reply: func(command string) string {
			if command == at {
				return "drop"
			}
			return ""
		}}
		run(t, load.Options{Address: f.start(t), Messages: 4, Recipients: load.FixedRecipients(2), Ledger: l, Failures: -1})
		if n := l.Totals(0); n.Duties != 8 || n.Unknown != want[0] || n.Unsent != want[1] || n.Accepted+n.Refused != 0 {
			t.Errorf("%s: %+v", at, n)
		}
	}
}

// Of an LMTP server that falls silent, what it has said counts.
func TestLedgerLMTPLoss(t *testing.T) {
	l, ends := ledger.New(12), 0
	f := &fake{lmtp: true, reply: func(command string) string {
		switch {
		case command == ".":
			if ends++; ends == 2 {
				return "550 5.2.2 full"
			} else if ends > 2 {
				return "drop"
			}
		case strings.HasPrefix(command, "RCPT TO:<r0.3@"):
			return "550 5.1.1 no"
		}
		return ""
	}}
	r := run(t, load.Options{Address: f.start(t), Messages: 1, LMTP: true, Recipients: load.FixedRecipients(5), Ledger: l, Failures: 1})
	if n := l.Totals(0); n.Accepted != 1 || n.Refused != 2 || n.Unknown != 2 {
		t.Errorf("%+v", n)
	}
	if r.AcceptedDuties != 1 || r.RefusedDuties != 2 || r.UnknownDuties != 2 || r.Unknown != 1 {
		t.Errorf("%+v", r.Counts)
	}
}

func TestLedgerOptions(t *testing.T) {
	l := ledger.New(12)
	for _, o := range []load.Options{{FirstSeq: 1}, {Run: 13}} {
		o.Address, o.Messages, o.Ledger = "127.0.0.1:25", 1, l
		if _, err := load.New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
