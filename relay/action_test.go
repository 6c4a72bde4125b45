package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/queue"
	"postrider/relay/policy"
	"postrider/relay/route"
)

// text is a buffer that one may read while another writes.
type text struct {
	mu  sync.Mutex // guards following
	all bytes.Buffer
}

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.all.Write(p)
}

// events returns the names of those that an operator caused, with their reply.
func (x *text) events(t *testing.T, actor string) (names []string) {
	t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	for line := range bytes.Lines(x.all.Bytes()) {
		var e struct {
			Ev, Actor, Reason, Reply string
			Code                     int
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if e.Actor == actor {
			names = append(names, strings.TrimSpace(fmt.Sprint(e.Ev, " ", e.Reason, " ", e.Reply)))
		}
	}
	return names
}

// What an operator does to recipients is in the log, one event for each, with who
// did it and why; one that is bounced ends when its sender has been told.
func TestActionsOfAnOperator(t *testing.T) {
	var ahead atomic.Int64
	hop := &stubHop{serve: func(ctx context.Context, src mail.Source) error {
		for d := src.Next(ctx, 0); d != nil; d = src.Next(ctx, 0) {
			d.SetRest(mail.NewStatus(450, 4, 2, 1, "later"))
			src.Done(d)
		}
		return nil
	}}
	var out text
	log, err := maillog.Open(maillog.Options{Output: &out})
	if err != nil {
		t.Fatal(err)
	}
	e, err := Open(t.Context(), stubOptions(vfs.NewMem(), hop, log, &ahead))
	if err != nil {
		t.Fatal(err)
	}
	accept(t, e, 2)
	e.Start()
	in := func(state queue.State, n int64) {
		t.Helper()
		until(t, fmt.Sprint(n, " are ", state), func() bool { return e.queue.Counts().States[state].Recipients == n })
	}
	do := func(act func(context.Context, queue.Filter, string, string) (queue.ActionResult, error), reason string) {
		t.Helper()
		if r, err := act(t.Context(), queue.Filter{}, "root", reason); err != nil || r.Matched != 2 || r.Done != 2 {
			t.Errorf("%s: %+v, %v", reason, r, err)
		}
	}
	in(queue.Deferred, 2)
	do(e.Retry, "one")
	in(queue.Deferred, 2)
	do(e.Hold, "two")
	in(queue.Held, 2)
	do(e.Release, "three")
	in(queue.Deferred, 2)
	do(e.Bounce, "four")
	until(t, "all have ended", func() bool { return e.queue.Counts().Recipients == 0 })
	if l := e.Ledger(); l.Imbalance() != 0 || l.Ended != 2 {
		t.Errorf("%+v", l)
	}
	if err := errors.Join(e.Drain(t.Context()), e.Close(), log.Close()); err != nil {
		t.Fatal(err)
	}
	want := []string{"retried one", "retried one", "held two", "held two", "released three", "released three", "failed four four", "failed four four"}
	if got := out.events(t, "root"); !slices.Equal(got, want) {
		t.Errorf("events: %q", got)
	}
	if n := bytes.Count(out.all.Bytes(), []byte(`"ev":"bounced"`)); n != 2 {
		t.Errorf("%d bounced", n)
	}
}

// A retry of mail that waits for DNS asks the resolver again at once.
func TestRetryAsksDNSAgain(t *testing.T) {
	world := &fakeDNS{hosts: 1}
	world.broken.Store(true)
	hop := &stubHop{serve: func(ctx context.Context, src mail.Source) error {
		for d := src.Next(ctx, 0); d != nil; d = src.Next(ctx, 0) {
			d.SetRest(mail.NewStatus(250, 2, 0, 0, "ok"))
			src.Done(d)
		}
		return nil
	}}
	var ahead atomic.Int64
	var out text
	log, err := maillog.Open(maillog.Options{Output: &out})
	if err != nil {
		t.Fatal(err)
	}
	o := stubOptions(vfs.NewMem(), hop, log, &ahead)
	o.Resolver = world
	o.Rules = &Rules{
		Access: policy.New(policy.Options{RelayDomains: []string{"x.example"}}),
		Routes: route.New(route.Options{Rules: []route.Rule{{Domain: "*", Hop: mail.Hop{Kind: mail.HopMX}}}}),
	}
	e, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	d, err := e.Queue().NewDraft(0)
	if err != nil {
		t.Fatal(err)
	}
	d.Envelope().AddRecipient([]byte("u@D.s1.example"), 0, nil)
	if _, err := d.Write([]byte("Subject: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.Start()
	until(t, "DNS has failed", func() bool { return !e.dir.Find([]byte("d.s1.example")).Next.IsZero() })
	if r, err := e.Hold(t.Context(), queue.Filter{State: queue.Deferred}, "root", "none"); err != nil || r.Matched != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	world.broken.Store(false)
	r, err := e.Retry(t.Context(), queue.Filter{}, "root", "DNS is back")
	if err != nil || r.Matched != 1 || r.Done != 1 || len(r.Items) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	until(t, "it is delivered", func() bool { return e.queue.Counts().Recipients == 0 })
	if err := errors.Join(e.Drain(t.Context()), e.Close(), log.Close()); err != nil {
		t.Fatal(err)
	}
	if got := out.events(t, "root"); !slices.Equal(got, []string{"retried DNS is back"}) {
		t.Errorf("events: %q", got)
	}
}
