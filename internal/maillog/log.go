package maillog

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Options say where events go.
type Options struct {
	// Path is the file; its folder is made when there is none. "-" is the
	// standard output.
	Path string
	// Output, when not nil, is written to instead of Path.
	Output io.Writer
	// Node names this machine in every line; empty: the system's name.
	Node string
	// DropOnStall drops events and counts them when writing is slower than they
	// come; false: they wait.
	DropOnStall bool
	// RotateBytes is the size at which the file is renamed; 0: never.
	RotateBytes int64
	// Keep is how many renamed files stay; 0: any number.
	Keep int
	// TotalBytes bounds all files together: the oldest are removed. 0: no bound.
	TotalBytes int64
	// Sessions also writes session_open and session_close.
	Sessions bool
	// Clock is the time of the lines; nil: time.Now.
	Clock func() time.Time
}

// Log is an open event log. The nil *Log writes nothing.
type Log struct {
	o      Options
	sink   *sink
	zap    *zap.Logger
	events sync.Pool // of *event

	stop    chan struct{}
	stopped sync.WaitGroup
	once    sync.Once
	err     error // of Close
}

// Open opens the log and starts its goroutine, which Close ends.
func Open(o Options) (*Log, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Node == "" {
		name, err := os.Hostname()
		if err != nil {
			name = "localhost"
		}
		o.Node = name
	}
	file := &logFile{clock: o.Clock, limit: o.RotateBytes, keep: o.Keep, total: o.TotalBytes}
	var seq uint64
	switch {
	case o.Output != nil:
		file.output = stream{o.Output}
	case o.Path == "-":
		file.output = stdout()
	default:
		if err := os.MkdirAll(filepath.Dir(o.Path), 0o750); err != nil {
			return nil, err
		}
		file.path = o.Path
		var err error
		if seq, err = file.openFile(); err != nil {
			return nil, err
		}
	}
	l := &Log{o: o, sink: newSink(file, o.DropOnStall, seq), stop: make(chan struct{})}
	l.events.New = func() any { return newEvent() }
	l.zap = zap.New(newCore(l.sink, o.Node), zap.WithClock(clock(o.Clock)))
	l.stopped.Go(func() { l.sink.run(l.stop) })
	return l, nil
}

// Sync writes what is buffered and makes it durable. Events whose methods have
// returned before the call are on the disk when it returns nil.
func (l *Log) Sync() error {
	if l == nil {
		return nil
	}
	return l.sink.sync()
}

// Reopen begins a new file if the current one was moved or removed, as log
// rotation from outside does before it sends SIGHUP.
func (l *Log) Reopen() error {
	if l == nil {
		return nil
	}
	s := l.sink
	s.io.Lock()
	defer s.release()
	if !s.file.moved() {
		return nil
	}
	err := s.writeLocked()
	if err == nil {
		err = s.file.Sync()
	}
	if err == nil {
		err = s.file.reopen()
	}
	s.noteLocked(err)
	return err
}

// Close writes what is buffered, syncs and closes. Events after it are dropped.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.once.Do(func() {
		close(l.stop)
		l.stopped.Wait()
		l.err = l.sink.close()
	})
	return l.err
}

// Stats tell how the log fares.
type Stats struct {
	Events       uint64 // number of the last event
	Dropped      uint64 // events lost since Open
	BacklogBytes int    // buffered
	Err          error  // of the last write; nil when it succeeded
}

// Stats returns the state of the log. It never waits for the disk.
func (l *Log) Stats() Stats {
	if l == nil {
		return Stats{}
	}
	s := l.sink
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Events: s.seq, Dropped: s.dropped, BacklogBytes: len(s.enc.buf) + s.held + s.writing, Err: s.err}
}

// core is the zapcore.Core that turns an entry into a line of the sink: the
// entry's message is the event's name.
type core struct {
	sink *sink
	head []byte // of every line up to its time
	node []byte // the member node and the key of seq
}

func newCore(s *sink, node string) *core {
	head := append([]byte(`{"v":`), strconv.Itoa(SchemaVersion)+`,"ts":"`...)
	tail := append(appendString([]byte(`,"node":`), node), `,"seq":`...)
	return &core{sink: s, head: head, node: tail}
}

// Enabled implements zapcore.LevelEnabler: events have no level.
func (c *core) Enabled(zapcore.Level) bool { return true }

// With implements zapcore.Core. Every event carries all of its fields itself.
func (c *core) With([]zapcore.Field) zapcore.Core { return c }

// Check implements zapcore.Core.
func (c *core) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return ce.AddCore(e, c)
}

// Write implements zapcore.Core. What goes wrong later is told by Stats and
// Sync: no event waits for the outcome of its write.
func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	s := c.sink
	if !s.begin() {
		return nil
	}
	enc := &s.enc
	enc.buf = append(enc.buf, c.head...)
	enc.appendTime(e.Time)
	enc.buf = append(enc.buf, `","ev":"`...)
	enc.buf = append(enc.buf, e.Message...) // a constant of this package
	enc.buf = append(enc.buf, '"')
	enc.buf = append(enc.buf, c.node...)
	enc.buf = strconv.AppendUint(enc.buf, s.seq, 10)
	for i := range fields {
		fields[i].AddTo(enc)
	}
	enc.buf = append(enc.buf, '}', '\n')
	s.end()
	return nil
}

// Sync implements zapcore.Core.
func (c *core) Sync() error { return c.sink.sync() }

// clock makes a function zap's clock.
type clock func() time.Time

func (c clock) Now() time.Time                         { return c() }
func (c clock) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }
