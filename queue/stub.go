package queue

import (
	"context"
	"time"

	"postrider/internal/mail"
)

type drop struct{}

type countScan struct{}

func (q *Queue) resolveDropLocked(i uint32, st State) {}

// Filter chooses waiting recipients; a zero field chooses all.
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

func (q *Queue) List(ctx context.Context, f Filter, yield func(*Item) bool) error { return ErrClosed }

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

func (q *Queue) Counts() Counts { return Counts{} }
