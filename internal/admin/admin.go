// Package admin is the operator's interface: metrics, health, the state of the
// queue and the few actions on it, by HTTP over a unix socket in the data
// folder, and the client of it that the commands use.
//
// # Guarantees
//
// Who may open the socket (mode 0600) may do everything. Over TCP less is
// served: without a token only figures and health, with it also the queue;
// profiles never. A TCP address beyond loopback is refused unless it has TLS and
// a token. Over TCP a request must name the server by an address or by
// localhost and must not come from another site's page, which is what stops a
// browser on the same machine from being made to ask (DNS rebinding). A token is
// taken from the Authorization header only, never from a URL, which ends up in
// logs.
//
// The package knows neither the queue nor the engine: it declares what it needs
// of them (Queue, Options) with item types of its own.
//
// # Concurrency
//
// Server's goroutines are ended by Close, which waits for them. Client is safe
// for concurrent use.
package admin

import (
	"context"
	"errors"
	"io"
	"time"

	"postrider/internal/mail"
)

// Message is one message of the queue.
type Message struct {
	ID       string    `json:"id"`
	Arrived  time.Time `json:"arrived"`
	From     string    `json:"from"`
	Size     int64     `json:"size"`
	NumRcpt  int       `json:"nrcpt"` // of the envelope, ended ones too
	Client   string    `json:"client,omitempty"`
	Helo     string    `json:"helo,omitempty"`
	User     string    `json:"user,omitempty"`
	Listener string    `json:"listener,omitempty"`
	Protocol string    `json:"proto,omitempty"`
	TLS      string    `json:"tls,omitempty"`
	Session  string    `json:"sess,omitempty"`
	// Recipients are those that match and have not ended.
	Recipients []Recipient `json:"recipients"`
}

// Recipient is one recipient that waits.
type Recipient struct {
	RID      int        `json:"rid"` // from 1, as in the event log
	To       string     `json:"to"`
	State    string     `json:"state"`
	Lane     string     `json:"lane,omitempty"`
	Site     string     `json:"site,omitempty"`   // where it goes; empty: the lane says it
	Source   string     `json:"source,omitempty"` // who sends it; empty: the default source
	Flow     string     `json:"flow,omitempty"`   // whose mail it is in the share-out
	Band     string     `json:"band,omitempty"`
	Attempts int        `json:"attempts"`
	Due      *time.Time `json:"due,omitempty"` // of the next attempt, when the recipient has a time of its own
	Code     int        `json:"code,omitempty"`
	Enhanced string     `json:"enh,omitempty"`
	Reply    string     `json:"reply,omitempty"`
	Class    string     `json:"class,omitempty"` // of the reply, in the event log's words
	Why      *Why       `json:"why,omitempty"`
}

// Queue is what the interface needs of the queue.
type Queue interface {
	// List calls yield for each message with a recipient that s matches, by id,
	// until it returns false. The message is valid during the call.
	List(ctx context.Context, s Selector, yield func(*Message) bool) error
	// Raw returns the text of a message and its length in bytes; ErrNotFound
	// when there is none.
	Raw(ctx context.Context, id mail.ID) (io.ReadCloser, int64, error)
	// Act does an action to the recipients that s matches. It returns once that is
	// durable.
	Act(ctx context.Context, a Action, s Selector, actor, reason string) (ActionResult, error)
	// ConfirmClock says that the wall clock is right, so that what is too old by it
	// expires. It reports whether that was in doubt.
	ConfirmClock() (bool, error)
}

// Check is one thing that readiness depends on.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"` // why not
}

// Level says how serious something is; its value is the exit code that a
// monitoring plug-in gives for it.
type Level int

// The levels.
const (
	LevelOK Level = iota
	LevelWarning
	LevelCritical
)

// String returns the word for l.
func (l Level) String() string {
	switch l {
	case LevelOK:
		return "ok"
	case LevelWarning:
		return "warning"
	}
	return "critical"
}

// Problem is something an operator should know.
type Problem struct {
	Level Level  `json:"level"`
	Text  string `json:"text"`
}

// StateCount is what waits in one state of the queue.
type StateCount struct {
	State      string  `json:"state"`
	Messages   int64   `json:"messages"`
	Recipients int64   `json:"recipients"`
	OldestSec  float64 `json:"oldest_s"`
}

// ListenerStatus is how one listener fares.
type ListenerStatus struct {
	Address     string `json:"address"`
	Service     string `json:"service"`
	Connections int64  `json:"connections"`
	Messages    int64  `json:"messages"`
}

// Ledger is the account of recipients; Imbalance must be 0.
type Ledger struct {
	Accepted  int64 `json:"accepted"`
	Ended     int64 `json:"ended"`
	Queued    int64 `json:"queued"`
	Imbalance int64 `json:"imbalance"`
}

// Status is the whole system at a glance.
type Status struct {
	Version       string           `json:"version"`
	Hostname      string           `json:"hostname"`
	PID           int              `json:"pid"`
	Started       time.Time        `json:"started"`
	ConfigPath    string           `json:"config,omitempty"`
	ConfigLoaded  time.Time        `json:"config_loaded"`
	ReloadError   string           `json:"reload_error,omitempty"`
	Listeners     []ListenerStatus `json:"listeners"`
	Queue         []StateCount     `json:"queue"`
	QueueBytes    int64            `json:"queue_bytes"`
	DiskFreeBytes uint64           `json:"disk_free_bytes"`
	Sites         []SiteStatus     `json:"sites"`
	Ledger        Ledger           `json:"ledger"`
	LogDropped    uint64           `json:"log_dropped"`
	Problems      []Problem        `json:"problems"`
}

// Worst returns the highest level of the problems.
func (s *Status) Worst() Level {
	worst := LevelOK
	for _, p := range s.Problems {
		worst = max(worst, p.Level)
	}
	return worst
}

// Errors of the interface, the same on both of its sides.
var (
	ErrNotFound   = errors.New("nothing matched")
	ErrNotRunning = errors.New("postrider does not run here")
	ErrSelector   = errors.New("bad selector")
	ErrDenied     = errors.New("not allowed")
)
