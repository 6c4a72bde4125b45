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
	room    *sync.Cond // the buffer got smaller, or err or closed changed
	enc     encoder    // enc.buf holds the lines that nobody writes yet
	seq     uint64     // of the last event, written or dropped
	dropped uint64
	err     error // of the last write; nil when it succeeded
	held    int   // length of pending
	writing int   // bytes that a write has in hand
	closed  bool

	io      sync.Mutex // guards following
	spare   []byte     // the buffer that is not enc.buf
	pending []byte     // what a failed write left of spare
}

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
	for len(s.enc.buf) >= backlogBytes && !s.drop && s.err == nil && !s.closed {
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
	help := len(s.enc.buf) >= helpBytes && !s.drop && s.err == nil
	s.mu.Unlock()
	if help && s.io.TryLock() {
		s.noteLocked(s.writeLocked())
		s.release()
		return
	}
	if full {
		s.wake()
	}
}

func (s *sink) wake() {
	select {
	case s.kick <- struct{}{}:
	default: // one is waiting already
	}
}

// release gives io back. Whoever wanted it meanwhile went away, so what has come
// since the write began is looked after here.
func (s *sink) release() {
	s.io.Unlock()
	s.mu.Lock()
	full := len(s.enc.buf) >= flushBytes && s.err == nil
	s.mu.Unlock()
	if full {
		s.wake()
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
		if s.io.TryLock() { // else somebody writes at this moment
			s.noteLocked(s.writeLocked())
			s.release()
		}
	}
}

// sync writes what is buffered and makes it durable.
func (s *sink) sync() error {
	s.io.Lock()
	defer s.release()
	err := s.writeLocked()
	if err == nil {
		err = s.file.Sync()
	}
	s.noteLocked(err)
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
	s.writing = len(s.spare)
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

// noteLocked keeps the outcome of a write for those who ask without waiting for
// the disk, and for the events: while it is an error nobody waits.
func (s *sink) noteLocked(err error) {
	s.mu.Lock()
	s.err, s.held, s.writing = err, len(s.pending), 0
	s.room.Broadcast()
	s.mu.Unlock()
}

// close writes what is left. Later events are dropped and counted.
func (s *sink) close() error {
	s.mu.Lock()
	s.closed = true
	s.room.Broadcast()
	s.mu.Unlock()
	err := s.sync()
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
