package queue

import (
	"context"
	"time"

	"postrider/internal/mail"
)

type Queue struct{}

func Open(o Options) (*Queue, error) { return nil, ErrClosed }

func (q *Queue) Close(ctx context.Context) error { return nil }

type Draft struct{}

func (q *Queue) NewDraft(announcedBytes int64) (*Draft, error) { return nil, ErrClosed }
func (d *Draft) Envelope() *mail.Envelope                      { return nil }
func (d *Draft) Write(p []byte) (int, error)                   { return 0, ErrClosed }
func (d *Draft) Size() int64                                   { return 0 }
func (d *Draft) Commit(ctx context.Context) error              { return ErrClosed }
func (d *Draft) Abort()                                        {}

type Lane struct{}

func (q *Queue) Lane(key string) *Lane { return nil }
func (q *Queue) Lanes() []*Lane        { return nil }
func (l *Lane) Key() string            { return "" }
func (l *Lane) ReadyCount() int        { return 0 }
func (l *Lane) Waiting() int           { return 0 }
func (l *Lane) Next(ctx context.Context, wait time.Duration, maxRcpts int, reuse *Job) *Job {
	return nil
}

type Job struct {
	Envelope   *mail.Envelope
	Recipients []int
	Attempts   []uint16
	Body       mail.Body
	ReadySince time.Time
}

func (j *Job) Settle(results []Result) {}

type Result struct {
	State   State
	Due     time.Time
	Status  mail.Status
	Attempt bool
}

type Filter struct {
	IDs                                  []mail.ID
	After                                mail.ID
	From, FromDomain, To, ToDomain, Lane string
	State                                State
	Code                                 int
	Enhanced                             string
	OlderThan, NewerThan                 time.Duration
	MinAttempts                          int
	MinSize                              int64
	Limit                                int
}

type Item struct {
	Envelope   *mail.Envelope
	Recipients []RecipientState
}

type RecipientState struct {
	Index    int
	State    State
	Version  uint32
	Attempts uint16
	Due      time.Time
	Lane     string
	Status   mail.Status
}

func (q *Queue) List(ctx context.Context, f Filter, yield func(*Item) bool) error {
	return ErrClosed
}
func (q *Queue) Body(id mail.ID) (mail.Body, func(), error) { return nil, nil, ErrClosed }
func (q *Queue) Drop(ctx context.Context, f Filter, reason string) (ActionResult, error) {
	return ActionResult{}, ErrClosed
}

type ActionResult struct {
	Matched, Done, Skipped int
	Items                  []ActionItem
}

type ActionItem struct {
	ID        mail.ID
	Recipient int
	Version   uint32
	State     State
	Done      bool
}

type Tally struct {
	Messages, Recipients int64
	OldestMicro          int64
}

type Counts struct {
	States                      [numStates]Tally
	Messages, Recipients, Bytes int64
	MemoryBytes                 int64
	DiskFreeBytes               uint64
	SegmentsFree, SegmentsTotal int
}

func (q *Queue) Counts() Counts          { return Counts{} }
func (q *Queue) Rebind()                 {}
func (q *Queue) Healthy() error          { return nil }
func (q *Queue) LogMark() Mark           { return Mark{} }
func (q *Queue) Logged(m Mark)           {}
func (q *Queue) Loaded() <-chan struct{} { return nil }

type Mark struct {
	gen uint64
	off int64
}

type Event struct {
	ID        mail.ID
	Recipient int
	Version   uint32
	State     State
	Status    mail.Status
	Due       time.Time
	Attempts  uint16
	Envelope  *mail.Envelope
}
