package queue

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
)

// stubOrder takes flows in the order of their numbers and writes down what it hears.
type stubOrder struct {
	q       *Queue
	buckets []stubBucket
	until   map[uint32]int64
	said    []string
}

type stubBucket struct {
	bucket, flow uint32
	band         uint8
}

func (o *stubOrder) say(format string, args ...any) {
	o.said = append(o.said, fmt.Sprintf(format, args...))
}

func (o *stubOrder) name(flow uint32) string {
	if o.q == nil {
		return ""
	}
	return o.q.FlowName(flow)
}

func (o *stubOrder) Add(bucket, flow uint32, band uint8) {
	o.buckets = append(o.buckets, stubBucket{bucket, flow, band})
	slices.SortFunc(o.buckets, func(a, b stubBucket) int { return int(a.flow) - int(b.flow) })
	o.say("add %s %d", o.name(flow), band)
}

func (o *stubOrder) Remove(bucket uint32) {
	n := slices.IndexFunc(o.buckets, func(b stubBucket) bool { return b.bucket == bucket })
	o.say("remove %s", o.name(o.buckets[n].flow))
	o.buckets = slices.Delete(o.buckets, n, n+1)
}

func (o *stubOrder) Next(nowMilli int64) (uint32, bool) {
	for _, b := range o.buckets {
		if o.until[b.flow] <= nowMilli {
			return b.bucket, true
		}
	}
	return 0, false
}

func (o *stubOrder) NextAt(int64) int64 {
	at := int64(0)
	for _, b := range o.buckets {
		if u := o.until[b.flow]; at == 0 || u < at {
			at = u
		}
	}
	return at
}

func (o *stubOrder) Took(bucket uint32, bytes int64, recipients int) {
	n := slices.IndexFunc(o.buckets, func(b stubBucket) bool { return b.bucket == bucket })
	o.say("took %s %d %d", o.name(o.buckets[n].flow), bytes, recipients)
}

func (o *stubOrder) Done(flow uint32) { o.say("done %s", o.name(flow)) }

// byUser places a message by its user and sends it by what its ENVID says.
func byUser(env *mail.Envelope, _ int, p *Placement) {
	p.Flow, p.Via, p.Band = env.User, env.EnvelopeID, 1
}

// putAs is put for a user and a way.
func putAs(t testing.TB, q *Queue, user, via, text string, rcpts ...string) mail.ID {
	t.Helper()
	d, err := q.NewDraft(0)
	if err != nil {
		t.Fatal(err)
	}
	e := d.Envelope()
	id := e.ID
	e.User, e.EnvelopeID = e.KeepString(user), e.KeepString(via)
	for _, r := range rcpts {
		e.AddRecipient([]byte(r), 0, nil)
	}
	if _, err := d.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return id
}

func ordered(o *Options) (order func() *stubOrder) {
	orders := map[string]*stubOrder{}
	o.Place = byUser
	o.Bind = func(_, via []byte) string { return "by-" + string(via) }
	o.Order = func(lane string) Order {
		orders[lane] = &stubOrder{until: map[uint32]int64{}}
		return orders[lane]
	}
	return func() *stubOrder { return orders["by-x"] }
}

// A lane's order is asked which bucket is next, hears of every lease and its end,
// and can hold flows back; what waits is told apart by domain and way.
func TestOrder(t *testing.T) {
	var get func() *stubOrder
	q := open(t, vfs.NewMem(), func(o *Options) { get = ordered(o) })
	l := q.Lane("by-x")
	o := get()
	o.q = q
	first := putAs(t, q, "anna", "x", "12345", "u@a.example", "v@a.example", "u@b.example")
	second := putAs(t, q, "bert", "x", "1", "u@a.example")
	putAs(t, q, "bert", "y", "1", "u@a.example")

	j := l.Next(t.Context(), 0, Lease{}, nil)
	if j.Envelope.ID != first || len(j.Recipients) != 2 || j.Domain != "a.example" || j.Via != "x" || j.Band != 1 || q.FlowName(j.Flow) != "anna" {
		t.Errorf("leased %+v", j)
	}
	flow := j.Flow
	l.With(func(Order) { o.until[flow] = time.Now().UnixMilli() + 50 })
	k := l.Next(t.Context(), 0, Lease{}, nil)
	if k.Envelope.ID != second {
		t.Errorf("leased %+v of a flow that is held back", k)
	}
	if m := l.Next(t.Context(), 0, Lease{}, nil); m != nil {
		t.Errorf("leased %+v of a flow that is held back", m)
	}
	m := l.Next(t.Context(), time.Minute, Lease{}, nil) // opens by itself
	if m == nil || m.Domain != "b.example" || len(m.Recipients) != 1 {
		t.Fatalf("leased %+v", m)
	}
	m.Settle(all(m, Ready, time.Time{}))
	k.Settle(all(k, Delivered, time.Time{}))
	j.Settle(all(j, Deferred, time.Now()))
	until(t, "the retry is ready", func() bool { return l.ReadyCount() == 3 })
	j = l.Next(t.Context(), 0, Lease{MixDomains: true}, nil)
	if len(j.Recipients) != 3 {
		t.Errorf("leased %+v", j)
	}
	j.Settle(all(j, Delivered, time.Time{}))
	want := "add anna 1,add anna 1,add bert 1,took anna 5 2,remove anna,took bert 1 1,remove bert," +
		"took anna 5 1,remove anna,add anna 1,done anna,done bert,done anna,add anna 3,took anna 5 3,remove anna,remove anna,done anna"
	if got := strings.Join(o.said, ","); got != want {
		t.Errorf("the order heard\n%s\nwant\n%s", got, want)
	}
	if n := q.Lane("by-y").ReadyCount(); n != 1 {
		t.Errorf("%d go the other way", n)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// RebindDomain moves the destinations of one domain, with their buckets, to the
// orders of other lanes.
func TestRebindDomain(t *testing.T) {
	key := "by-x"
	orders := map[string]*stubOrder{}
	q := open(t, vfs.NewMem(), func(o *Options) {
		o.Place = byUser
		o.Bind = func(domain, _ []byte) string { return key }
		o.Order = func(lane string) Order {
			orders[lane] = &stubOrder{until: map[uint32]int64{}}
			return orders[lane]
		}
	})
	for _, l := range []string{"by-x", "by-z"} {
		q.Lane(l)
		orders[l].q = q
	}
	for _, user := range []string{"anna", "bert"} {
		for _, via := range []string{"1", "2"} {
			putAs(t, q, user, via, "", "u@a.example", "u@b.example")
		}
	}
	key = "by-z"
	q.RebindDomain("b.example")
	if x, z := q.Lane("by-x").ReadyCount(), q.Lane("by-z").ReadyCount(); x != 4 || z != 4 || len(orders["by-x"].buckets) != 4 || len(orders["by-z"].buckets) != 4 {
		t.Errorf("%d and %d are ready", x, z)
	}
	n := 0
	for j := q.Lane("by-z").Next(t.Context(), 0, Lease{}, nil); j != nil; j = q.Lane("by-z").Next(t.Context(), 0, Lease{}, nil) {
		if j.Domain != "b.example" {
			t.Errorf("leased %+v", j)
		}
		j.Settle(all(j, Delivered, time.Time{}))
		n++
	}
	if n != 4 {
		t.Errorf("%d jobs", n)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Buckets, flows and destinations that nothing uses any more are forgotten a few at a
// time, and their numbers used again; what waits stays where it is.
func TestUnusedBucketsAreForgotten(t *testing.T) {
	q := open(t, vfs.NewMem(), func(o *Options) { o.Place = byUser })
	kept := putAs(t, q, "kept", "", "x", "u@kept.example")
	const n = sweepBuckets + 5000
	for k := range n {
		b := q.useBucketOf(fmt.Appendf(nil, "d%d.example", k/2), &Placement{Flow: fmt.Appendf(nil, "flow%d", k), Via: []byte{byte('a' + k&1)}})
		q.mu.Lock()
		q.bk.At(b).Uses--
		q.mu.Unlock()
	}
	q.mu.Lock()
	buckets, dests, names := q.bk.Len(), len(q.dests), len(q.flows.numbers)
	for domain, i := range q.destOf {
		for ; i != 0; i = q.dests[i].same {
			if d := q.dests[i]; d.domain != domain || d.buckets == 0 {
				t.Fatalf("destination %q %q: %+v", domain, d.via, d)
			}
		}
	}
	q.mu.Unlock()
	if limit := sweepBuckets + 3; buckets > limit || names > limit || dests > limit+1 {
		t.Errorf("%d buckets, %d destinations, %d flows are kept", buckets, dests, names)
	}
	j := nextOf(t, q.Lane("lane-kept.example"))
	if j.Envelope.ID != kept || q.FlowName(j.Flow) != "kept" || q.FlowName(1<<30) != "" {
		t.Errorf("leased %+v", j)
	}
	j.Settle(all(j, Delivered, time.Time{}))
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
