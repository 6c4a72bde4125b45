package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/internal/mail"
)

// model is a queue beside a plain account of what it must hold.
type model struct {
	t     *testing.T
	rng   *rand.Rand
	fs    *vfs.MemFS
	q     *Queue
	now   atomic.Int64 // Unix nanoseconds
	full  atomic.Bool
	binds atomic.Int64
	fatal atomic.Bool
	fail  *errorfs.InjectIndex // nil: no fault is coming

	msgs    map[mail.ID]*modelMessage
	jobs    []*Job
	unsafe  []*modelRecipient // settled, but not known to be synced
	pending sync.WaitGroup    // commits that a crash interrupts

	accepted, cuts, notices int
}

type modelMessage struct {
	id    mail.ID
	text  []byte
	acked bool
	rcpts []*modelRecipient
	about []*modelRecipient // of a notice that is not known to be synced: whose end it tells of
}

type modelRecipient struct {
	version, firm uint32 // issued; known to be synced
	end, endFirm  bool
	state         State
	warned        bool
	gone          bool // as of the last check
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, rng: rand.New(rand.NewPCG(seed, 1)), fs: vfs.NewCrashableMem(), msgs: map[mail.ID]*modelMessage{}}
	m.now.Store(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	m.open()
	return m
}

func (m *model) clock() time.Time { return time.Unix(0, m.now.Load()) }

func (m *model) open() {
	m.fatal.Store(false)
	var fs vfs.FS = m.fs
	m.fail = nil
	if m.rng.IntN(6) == 0 {
		m.fail = errorfs.OnIndex(int32(60 + m.rng.IntN(400)))
		writes := errorfs.InjectorFunc(func(op errorfs.Op) error {
			switch op.Kind {
			case errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
				return m.fail.MaybeError(op)
			}
			return nil
		})
		fs = errorfs.Wrap(m.fs, writes)
	}
	q, err := Open(Options{
		FS: fs, Dir: "q", Clock: m.clock, SegmentBytes: 256 << 10, Segments: 4,
		LargeBytes: 16 << 10, ColdBytes: 64 << 10, HotMessages: 12, MemoryBytes: 256 << 10, ReserveBytes: 1,
		Place: byUser,
		Bind: func(domain, _ []byte) string {
			return fmt.Sprint("lane", (int(domain[0])+int(m.binds.Load()))%3)
		},
		DiskFree: func() (uint64, uint64, error) {
			if m.full.Load() {
				return 0, 1 << 40, nil
			}
			return 1 << 40, 1 << 40, nil
		},
		Fatal: func(error) { m.fatal.Store(true) },
		Metrics: &Metrics{Alarm: func(kind string, err error) {
			if kind == "damage" || kind == "read" {
				m.t.Errorf("alarm %s: %v", kind, err)
			}
		}},
	})
	if err != nil {
		if m.fail != nil && errors.Is(err, errorfs.ErrInjected) {
			// The fault struck while it opened: another process tries again.
			m.fs = m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: m.rng})
			m.open()
			return
		}
		m.t.Fatalf("open: %v", err)
	}
	m.q = q
}

var modelDomains = []string{"a.example", "b.example", "c.example", "d.example", "e.example"}

// draft fills a draft with a random message.
func (m *model) draft() (*Draft, *modelMessage) {
	d, err := m.q.NewDraft(0)
	if err != nil {
		if !errors.Is(err, ErrFull) && !errors.Is(err, ErrClosed) {
			m.t.Fatalf("draft: %v", err)
		}
		return nil, nil
	}
	size := m.rng.IntN(6000)
	if m.rng.IntN(15) == 0 {
		size = 10_000 + m.rng.IntN(30_000)
	}
	msg := m.fill(d, size)
	if msg == nil {
		d.Abort()
		return nil, nil
	}
	return d, msg
}

// fill makes the message of a draft; nil when there is no room.
func (m *model) fill(d *Draft, size int) *modelMessage {
	e := d.Envelope()
	msg := &modelMessage{id: e.ID, text: bytes.Repeat([]byte{byte(m.rng.IntN(256))}, size)}
	msg.text = append(msg.text, e.ID[:]...)
	e.User = e.KeepString(fmt.Sprint("user", m.rng.IntN(3)))
	e.Sender = e.KeepString("s@" + modelDomains[m.rng.IntN(len(modelDomains))])
	for range 1 + m.rng.IntN(5) {
		e.AddRecipient(fmt.Appendf(nil, "u%d@%s", m.rng.IntN(9), modelDomains[m.rng.IntN(len(modelDomains))]), 0, nil)
		msg.rcpts = append(msg.rcpts, &modelRecipient{state: Ready})
	}
	for p := msg.text; len(p) > 0; {
		n := min(len(p), 1+m.rng.IntN(9000))
		if _, err := d.Write(p[:n]); err != nil {
			return nil
		}
		p = p[n:]
	}
	return msg
}

func (m *model) accept() {
	full := m.full.Load()
	d, msg := m.draft()
	if d == nil {
		return
	}
	if full {
		m.t.Fatal("a full disk took a message")
	}
	before := len(m.unsafe)
	m.settleAccept(msg, d.Commit(m.t.Context()))
	if msg.acked {
		m.firm(before) // what was settled before is synced with it, or was earlier
	}
}

func (m *model) settleAccept(msg *modelMessage, err error) {
	msg.acked = err == nil
	if msg.acked {
		m.accepted += len(msg.rcpts)
	}
	if err == nil || !errors.Is(err, ErrFull) {
		m.msgs[msg.id] = msg
	}
}

// firm notes that the first n of what was settled is synced.
func (m *model) firm(n int) {
	for _, r := range m.unsafe[:n] {
		r.firm, r.endFirm = r.version, r.end
	}
	m.unsafe = append(m.unsafe[:0], m.unsafe[n:]...)
}

func (m *model) lease() {
	ls := m.q.Lanes()
	if len(ls) == 0 || len(m.jobs) >= 6 {
		return
	}
	l := ls[m.rng.IntN(len(ls))]
	var j *Job
	switch m.rng.IntN(8) {
	case 0:
		j = l.NextOlder(m.clock().Add(-time.Minute), m.rng.IntN(3), nil)
	case 1:
		j = l.NextLate(m.clock().Add(-time.Minute), nil)
	default:
		j = l.Next(m.t.Context(), 0, Lease{MaxRecipients: 1 + m.rng.IntN(4), MixDomains: m.rng.IntN(2) == 0}, nil)
	}
	if j == nil {
		return
	}
	msg := m.msgs[j.Envelope.ID]
	if msg == nil {
		m.t.Fatalf("leased %v, which was never accepted", j.Envelope.ID)
	}
	msg.acked, msg.about = true, nil // it is synced, and so is all that was before it
	for _, k := range j.Recipients {
		if msg.rcpts[k].end || msg.rcpts[k].state == Failed {
			m.t.Fatalf("%v recipient %d was leased when it was %v", msg.id, k, msg.rcpts[k].state)
		}
	}
	text, err := io.ReadAll(j.Body.Reader())
	if err != nil || !bytes.Equal(text, msg.text) {
		m.t.Fatalf("%v: text of %d bytes, want %d: %v", msg.id, len(text), len(msg.text), err)
	}
	m.jobs = append(m.jobs, j)
}

var modelOutcomes = []State{Delivered, Delivered, Delivered, Deferred, Deferred, Deferred, Failed, Failed, Held, Dropped, Bounced, Ready}

func (m *model) settle() {
	if len(m.jobs) == 0 {
		return
	}
	n := m.rng.IntN(len(m.jobs))
	j := m.jobs[n]
	m.jobs = append(m.jobs[:n], m.jobs[n+1:]...)
	msg := m.msgs[j.Envelope.ID]
	res := make([]Result, len(j.Recipients))
	one := modelOutcomes[m.rng.IntN(len(modelOutcomes))]
	for k := range res {
		if m.rng.IntN(3) == 0 {
			one = modelOutcomes[m.rng.IntN(len(modelOutcomes))]
		}
		res[k] = Result{
			State: one, Due: m.clock().Add(time.Duration(m.rng.IntN(600)-60) * time.Second), Attempt: true,
			Status: mail.NewStatus(uint16(400+m.rng.IntN(3)), 4, 0, uint16(m.rng.IntN(2)), "as it happens"),
		}
		r := msg.rcpts[j.Recipients[k]]
		res[k].Warned = m.rng.IntN(8) == 0
		told := res[k].Warned && !r.warned
		r.warned = r.warned || told
		if one == Ready || one == Failed && r.state == Failed { // given back
			if told {
				r.version++
				m.unsafe = append(m.unsafe, r)
			}
			continue
		}
		r.version++
		r.state, r.end = one, one.Terminal()
		m.unsafe = append(m.unsafe, r)
	}
	j.Settle(res)
}

// notice leases failed recipients of a message, and ends them with a notice, without
// one, or not at all.
func (m *model) notice() {
	ctx, cancel := context.WithCancel(m.t.Context())
	cancel()
	j := m.q.NextFailed(ctx, time.Duration(m.rng.IntN(2))*time.Minute)
	if j == nil {
		return
	}
	msg := m.msgs[j.Envelope.ID]
	res := make([]Result, len(j.Recipients))
	var about []*modelRecipient
	for k, i := range j.Recipients {
		r := msg.rcpts[i]
		if r.end || r.state != Failed || j.Failures[k].Version != r.version {
			m.t.Fatalf("%v recipient %d is to be told of, but is %v", msg.id, i, r.state)
		}
		if s := &j.Failures[k].Status; s.Code < 400 || string(s.Text) != "as it happens" {
			m.t.Fatalf("%v recipient %d failed with %v", msg.id, i, s)
		}
		res[k] = Result{State: Bounced}
		about = append(about, r)
	}
	end := func() {
		for _, r := range about {
			r.version++
			r.end, r.state = true, Bounced
			m.unsafe = append(m.unsafe, r)
		}
	}
	switch m.rng.IntN(8) {
	case 0:
		m.jobs = append(m.jobs, j) // settle gives it back
	case 1:
		end()
		j.Settle(res)
	default:
		d, err := m.q.NewNotice()
		if err != nil {
			if !errors.Is(err, ErrClosed) {
				m.t.Fatalf("notice: %v", err)
			}
			j.Settle(make([]Result, len(res)))
			return
		}
		n := m.fill(d, m.rng.IntN(9000))
		n.about = about
		if err := j.SettleWith(res, d); err != nil {
			if !errors.Is(err, ErrFull) {
				m.t.Fatalf("settle with a notice: %v", err)
			}
			j.Settle(make([]Result, len(res)))
			return
		}
		end()
		m.msgs[n.id] = n
		m.notices++
	}
}

func (m *model) drop() {
	f := Filter{Limit: 1 + m.rng.IntN(4)}
	switch m.rng.IntN(4) {
	case 0:
		f.State = Held
	case 1:
		f.State = Failed
	case 2:
		f.ToDomain = modelDomains[m.rng.IntN(len(modelDomains))]
	case 3:
		f.Code = 401
	}
	ctx, cancel := context.WithCancel(m.t.Context())
	cancel() // do not wait for what is in flight, nor for the sync
	if m.rng.IntN(2) == 0 {
		<-m.q.Loaded()
		f.State = []State{Held, Failed}[m.rng.IntN(2)] // never in flight: the wait ends
		ctx = m.t.Context()
	}
	res, err := m.q.Drop(ctx, f, "not wanted", nil)
	if err != nil && !errors.Is(err, context.Canceled) && !m.fatal.Load() {
		m.t.Fatalf("drop: %v", err)
	}
	for _, it := range res.Items {
		if it.State != InFlight || it.Done {
			r := m.msgs[it.ID].rcpts[it.Recipient]
			r.version, r.end, r.state = it.Version, true, Dropped
			if it.Done {
				r.firm, r.endFirm = r.version, true
			} else {
				m.unsafe = append(m.unsafe, r)
			}
		}
	}
}

// check compares the queue's listing, counts and texts with the account.
// recovered says that the queue was opened anew: then what was not known to be
// synced may have happened or not, and is taken over as it is.
func (m *model) check(recovered bool) {
	<-m.q.Loaded()
	seen := map[mail.ID]map[int]RecipientState{}
	var last mail.ID
	queued := int64(0)
	err := m.q.List(m.t.Context(), Filter{}, func(it *Item) bool {
		id := it.Envelope.ID
		if id.Compare(last) <= 0 {
			m.t.Fatalf("listing out of order")
		}
		last = id
		states := map[int]RecipientState{}
		for _, r := range it.Recipients {
			states[r.Index] = r
		}
		seen[id] = states
		queued += int64(len(states))
		if msg := m.msgs[id]; msg == nil || len(msg.rcpts) != len(it.Envelope.Recipients) {
			m.t.Fatalf("%v is listed, but was never offered like that", id)
		}
		return true
	})
	if err != nil {
		m.t.Fatalf("list: %v", err)
	}
	if c := m.q.Counts(); c.Recipients != queued || c.Messages != int64(len(seen)) {
		m.t.Fatalf("counts say %d in %d messages, the listing %d in %d", c.Recipients, c.Messages, queued, len(seen))
	}
	for id, msg := range m.msgs {
		for k, r := range msg.rcpts {
			_, waits := seen[id][k]
			r.gone = !waits
		}
	}
	for id, msg := range m.msgs {
		m.checkMessage(msg, seen[id], recovered)
		if len(seen[id]) == 0 {
			delete(m.msgs, id)
		}
	}
	if recovered {
		m.unsafe = m.unsafe[:0]
	}
}

func (m *model) checkMessage(msg *modelMessage, seen map[int]RecipientState, recovered bool) {
	if !msg.acked && recovered {
		if len(seen) != 0 && len(seen) != len(msg.rcpts) {
			m.t.Fatalf("%v is half there: %d of %d", msg.id, len(seen), len(msg.rcpts))
		}
		for _, r := range msg.about {
			if r.gone != (len(seen) > 0) {
				m.t.Fatalf("notice %v: is there %v, what it tells of has ended %v", msg.id, len(seen) > 0, r.gone)
			}
		}
		msg.about = nil
		if len(seen) > 0 {
			msg.acked = true
			m.accepted += len(msg.rcpts)
		} else {
			msg.rcpts = nil
		}
	}
	for k, r := range msg.rcpts {
		s, waits := seen[k]
		switch {
		case waits && r.endFirm:
			m.t.Fatalf("%v recipient %d came back after its end", msg.id, k)
		case !waits && !r.end:
			m.t.Fatalf("%v recipient %d is lost (version %d)", msg.id, k, r.version)
		case waits && (s.Version < r.firm || s.Version > r.version):
			m.t.Fatalf("%v recipient %d has version %d, want %d to %d", msg.id, k, s.Version, r.firm, r.version)
		case waits && !recovered && r.end:
			m.t.Fatalf("%v recipient %d waits after its end", msg.id, k)
		case waits && s.Version == r.version && s.Warned != r.warned:
			m.t.Fatalf("%v recipient %d: warned is %v, want %v", msg.id, k, s.Warned, r.warned)
		case waits && s.Version == r.version && r.version > 0 && !r.end && (r.state == Held || r.state == Failed) && s.State != r.state:
			m.t.Fatalf("%v recipient %d is %v, want %v", msg.id, k, s.State, r.state)
		}
		if recovered {
			if waits {
				r.version, r.firm, r.end, r.state, r.warned = s.Version, s.Version, false, s.State, s.Warned
			} else {
				r.end, r.endFirm = true, true
			}
		}
	}
}

// restart ends the queue, cleanly or by a power cut, and opens it again.
func (m *model) restart(clean bool) {
	if !clean {
		// Some commits are under way when the power goes.
		for range m.rng.IntN(3) {
			d, msg := m.draft()
			if d == nil {
				continue
			}
			m.msgs[msg.id] = msg
			m.pending.Add(1)
			go func() {
				defer m.pending.Done()
				_ = d.Commit(m.t.Context())
			}()
		}
		percent := []int{0, 10, 50, 90, 100}[m.rng.IntN(5)]
		next := m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: m.rng})
		m.pending.Wait()
		m.close()
		m.fs = next
		m.cuts++
	} else {
		if broken := m.close(); broken || m.fatal.Load() {
			m.fs = m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: m.rng})
		} else {
			m.firm(len(m.unsafe))
		}
	}
	m.jobs = nil
	m.full.Store(false)
	m.open()
	m.check(true)
}

// close reports whether a fault that was coming struck in the closing itself: then
// nothing that was not known to be synced before may be relied on.
func (m *model) close() (broken bool) {
	for _, j := range m.jobs {
		j.body.release()
	}
	err := m.q.Close(m.t.Context())
	broken = m.fail != nil && errors.Is(err, errorfs.ErrInjected)
	if err != nil && !broken && !m.fatal.Load() {
		m.t.Fatalf("close: %v", err)
	}
	return broken
}

func (m *model) step() {
	if m.fatal.Load() {
		m.restart(false)
		return
	}
	switch m.rng.IntN(26) {
	case 0, 1, 2, 3, 4, 5:
		m.accept()
	case 6, 7, 8, 9, 10, 11:
		m.lease()
	case 12, 13, 14, 15, 16:
		m.settle()
	case 17:
		m.now.Add(int64(m.rng.IntN(400)) * int64(time.Second))
		m.q.kickClock()
	case 18:
		m.q.Logged(m.q.LogMark())
	case 19:
		m.drop()
	case 20:
		m.full.Store(m.rng.IntN(3) == 0)
		m.now.Add(int64(time.Second)) // so that the disk is asked again
	case 21:
		m.binds.Add(1)
		if m.rng.IntN(2) == 0 {
			m.q.Rebind()
		} else {
			m.q.RebindDomain(modelDomains[m.rng.IntN(len(modelDomains))])
		}
	case 22:
		if m.rng.IntN(4) == 0 {
			m.now.Add(-int64(m.rng.IntN(3600)) * int64(time.Second)) // the clock is set back
		}
	case 23, 24:
		m.notice()
	case 25:
		m.restart(m.rng.IntN(5) == 0)
	}
}

// TestModel plays random histories with power cuts, restarts, faults of the
// disk and a full disk, on segments so small that messages are moved and
// segments used again all the time. Whatever happens: accepted = ended + queued,
// nothing acknowledged is lost, nothing that ended and was synced comes back.
//
// Covers Q1, Q3, Q4, G1, G2, G4.
func TestModel(t *testing.T) {
	rounds, steps := 120, 700
	if raceEnabled {
		rounds = 4
	}
	var cuts, notices atomic.Int64
	t.Run("seeds", func(t *testing.T) {
		for seed := range rounds {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				m := newModel(t, uint64(seed))
				for range steps {
					m.step()
				}
				m.restart(true)
				cuts.Add(int64(m.cuts))
				notices.Add(int64(m.notices))
				m.close()
			})
		}
	})
	t.Logf("%d power cuts, %d notices", cuts.Load(), notices.Load())
	if n, k := cuts.Load(), notices.Load(); (n < 1500 || k < 300) && !raceEnabled {
		t.Errorf("only %d power cuts and %d notices: the histories do not do what they are for", n, k)
	}
}
