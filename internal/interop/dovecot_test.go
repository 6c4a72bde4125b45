//go:build interop

package interop

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"postrider/bench/access"
	"postrider/bench/result"
	"postrider/bench/target"
)

// reading are the options of a workload against a server; group keeps the
// mailboxes of one test apart from those of another.
func reading(in target.Instance, w access.Workload, group int) access.Options {
	return access.Options{
		POP3: in.POP3(), IMAP: in.IMAP(), LMTP: in.LMTP(), Password: "secret",
		UserFormat: fmt.Sprintf("u%%d.%d@mail.bench.test", group), Workload: w,
		Users: 12, Conns: 6, Sessions: 60, Keep: 5, Seed: 7, Timeout: 30 * time.Second,
	}
}

// clean wants some of each operation, no error and no violation.
func clean(t *testing.T, lines []result.AccessResult, err error, operations ...string) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, l := range lines {
		t.Logf("%-6s %-9s %-22s %5d errors %d p50 %6d us p99 %6d us", l.Protocol, l.Workload, l.Operation, l.Count, l.Errors, l.Latency.P50, l.Latency.P99)
		seen[l.Operation] = l.Count > 0
		if l.Errors != 0 || l.Violations != 0 {
			t.Errorf("%s: %d errors, %d violations: %q", l.Operation, l.Errors, l.Violations, l.Described)
		}
	}
	for _, op := range operations {
		if !seen[op] {
			t.Errorf("no %s was made", op)
		}
	}
}

// Every workload of mail readers finds in Dovecot's mailboxes what was delivered.
func TestDovecotReaders(t *testing.T) {
	in := startTarget(t, "dovecot", target.Need{Mailboxes: 12, TLS: true, Conns: 50})
	for i, c := range []struct {
		workload access.Workload
		change   func(*access.Options)
		want     []string
	}{
		{access.Poll, func(o *access.Options) {}, []string{"LOGIN", "STAT", "UIDL", "QUIT", "delivery"}},
		{access.Poll, func(o *access.Options) { o.Protocol, o.TLS = "imap", access.TLSStart }, []string{"STATUS", "LOGOUT"}},
		{access.Download, func(o *access.Options) { o.TLS = access.TLSStart; o.Arrivals = 2 }, []string{"LIST", "RETR", "DELE", "QUIT"}},
		{access.Sync, func(o *access.Options) { o.Arrivals = 2 }, []string{"SELECT", "FETCH FLAGS", "FETCH BODY", "STORE", "EXPUNGE"}},
		{access.Webmail, func(o *access.Options) { o.Rate = 60 }, []string{"FETCH ENVELOPE", "FETCH BODYSTRUCTURE", "SEARCH"}},
		{access.Idle, func(o *access.Options) { o.Rate = 30 }, []string{"IDLE", "EXISTS after delivery", "EXISTS after 250"}},
	} {
		t.Run(fmt.Sprint(i, c.workload), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			o := reading(in, c.workload, i)
			c.change(&o)
			b, err := access.New(o)
			if err != nil {
				t.Fatal(err)
			}
			lines, err := b.Fill(ctx, 8)
			clean(t, lines, err, "delivery")
			lines, err = b.Run(ctx)
			clean(t, lines, err, c.want...)
			lines, err = b.Check(ctx, true)
			clean(t, lines, err, "LOGIN")
		})
	}
}

// What was deleted by POP3 stays deleted, and what was delivered is there, after
// Dovecot was killed in the middle of it.
func TestDovecotKilled(t *testing.T) {
	in := startTarget(t, "dovecot", target.Need{Mailboxes: 12, Conns: 50})
	o := reading(in, access.Download, 0)
	o.Arrivals, o.Sessions, o.Conns, o.Users = 3, 400, 4, 12
	b, err := access.New(o)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := b.Fill(t.Context(), 10)
	clean(t, lines, err, "delivery")
	var run sync.WaitGroup
	run.Go(func() { lines, err = b.Run(t.Context()) })
	if !await(time.Minute, func() bool { return b.Live().Sessions >= 20 }) {
		t.Error("no sessions were played")
	}
	if err := in.Kill(t.Context()); err != nil {
		t.Error(err)
	}
	if err := in.Restart(t.Context()); err != nil {
		t.Error(err)
	}
	run.Wait()
	if err != nil {
		t.Fatal(err)
	}
	checked, err := b.Check(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	failed := int64(0)
	for _, l := range append(lines, checked...) {
		failed += l.Errors
		if l.Violations != 0 {
			t.Errorf("%s: %d violations: %q", l.Operation, l.Violations, l.Described)
		}
	}
	t.Logf("%d operations failed, %+v", failed, b.Live())
	if failed == 0 {
		t.Error("nothing failed: the kill came too late")
	}
}
