package maillog

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// Buffer bounds. A flush starts at flushBytes. When the goroutine that does it
// is not given a processor, the event that finds helpBytes waiting writes them
// itself, so that buffers keep their size under any load. At backlogBytes, which
// only a disk that stalls leads to, events wait or are dropped: a second of the
// highest rate that was measured is about 20 MB, so that is some 200 ms.
const (
	flushBytes   = 64 << 10
	helpBytes    = 4 * flushBytes
	bufferBytes  = helpBytes + flushBytes // of each of the two buffers at the start
	backlogBytes = 4 << 20
	keepBytes    = 1 << 20 // a buffer that a stall made larger is not kept
	flushEvery   = time.Second
)

// output is where bytes go: a file, or a stream.
type output interface {
	io.Writer
	Sync() error
	Close() error
}

// sink buffers lines and writes them, never holding mu during I/O.
type sink struct {
	drop bool // at a full buffer: drop instead of waiting
	file *logFile
	kick chan struct{} // capacity 1: the buffer is worth a write

	mu      sync.Mutex // guards following
	room    *sync.Cond // the buffer got smaller, or failing or closed changed
	enc     encoder    // enc.buf holds the lines that nobody writes yet
	seq     uint64     // of the last event, written or dropped
	dropped uint64
	failing bool // the last write failed
	closed  bool

	io      sync.Mutex // guards following
	spare   []byte     // the buffer that is not enc.buf
	pending []byte     // what a failed write left of spare
	err     error      // of the last write
}

var errClosed = errors.New("event log is closed")

func newSink(file *logFile, drop bool, seq uint64) *sink {
	s := &sink{file: file, drop: drop, seq: seq, kick: make(chan struct{}, 1)}
	s.room = sync.NewCond(&s.mu)
	s.enc.buf, s.spare = make([]byte, 0, bufferBytes), make([]byte, 0, bufferBytes)
	return s
}

// begin makes room for a line and numbers it; without room it counts the line
// as dropped. After true the caller appends to s.enc and calls end.
func (s *sink) begin() bool {
	s.mu.Lock()
	for len(s.enc.buf) >= backlogBytes && !s.drop && !s.failing && !s.closed {
		s.room.Wait()
	}
	s.seq++
	if s.closed || len(s.enc.buf) >= backlogBytes {
		s.dropped++
		s.mu.Unlock()
		return false
	}
	return true
}

func (s *sink) end() {
	full := len(s.enc.buf) >= flushBytes
	help := len(s.enc.buf) >= helpBytes && !s.drop && !s.failing
	s.mu.Unlock()
	if help && s.io.TryLock() {
		s.setErrLocked(s.writeLocked())
		s.io.Unlock()
		return
	}
	if full {
		select {
		case s.kick <- struct{}{}:
		default: // one is waiting already
		}
	}
}

// run writes until stop is closed.
func (s *sink) run(stop <-chan struct{}) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.kick:
		case <-tick.C:
		case <-stop:
			return
		}
		_ = s.flush(false) // kept in s.err, shown by Stats, tried again
	}
}

// flush writes what is buffered, and syncs when asked.
func (s *sink) flush(sync bool) error {
	s.io.Lock()
	defer s.io.Unlock()
	err := s.writeLocked()
	if err == nil && sync {
		err = s.file.Sync()
	}
	s.setErrLocked(err)
	return err
}

func (s *sink) writeLocked() error {
	if len(s.pending) > 0 { // the rest of a line must come first
		n, err := s.file.Write(s.pending)
		s.pending = s.pending[n:]
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.spare, s.enc.buf = s.enc.buf, s.spare[:0]
	s.room.Broadcast()
	s.mu.Unlock()
	if len(s.spare) == 0 {
		return nil
	}
	if err := s.file.rotate(len(s.spare)); err != nil {
		s.pending = s.spare
		return err
	}
	n, err := s.file.Write(s.spare)
	s.pending = s.spare[n:]
	if cap(s.spare) > keepBytes && len(s.pending) == 0 {
		s.spare = nil
	}
	return err
}

func (s *sink) setErrLocked(err error) {
	s.err = err
	s.mu.Lock()
	s.failing = err != nil
	s.room.Broadcast()
	s.mu.Unlock()
}

// close writes what is left. Later events are dropped and counted.
func (s *sink) close() error {
	s.mu.Lock()
	s.closed = true
	s.room.Broadcast()
	s.mu.Unlock()
	err := s.flush(true)
	s.io.Lock()
	defer s.io.Unlock()
	return errors.Join(err, s.file.Close())
}

// stream is an output that cannot be synced, such as a pipe.
type stream struct{ io.Writer }

func (stream) Sync() error  { return nil }
func (stream) Close() error { return nil }

// stdout returns the standard output; it is never closed by the log.
func stdout() output { return stream{os.Stdout} }
