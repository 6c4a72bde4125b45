package outbound_test

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// wire returns the two ends of a connection on which every byte is delay on its
// way and any number of them may be; time is the bubble's.
func wire(delay time.Duration) (net.Conn, net.Conn) {
	a, b := newHalf(delay), newHalf(delay)
	return &wireEnd{in: a, out: b}, &wireEnd{in: b, out: a}
}

// half is one direction of a wire.
type half struct {
	delay time.Duration

	mu       sync.Mutex // guards following
	pieces   []piece
	ended    bool
	deadline time.Time
	change   chan struct{} // closed and replaced at every change
}

type piece struct {
	due  time.Time
	data []byte
}

func newHalf(delay time.Duration) *half { return &half{delay: delay, change: make(chan struct{})} }

func (h *half) changedLocked() {
	close(h.change)
	h.change = make(chan struct{})
}

func (h *half) write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return 0, io.ErrClosedPipe
	}
	h.pieces = append(h.pieces, piece{time.Now().Add(h.delay), append([]byte(nil), p...)})
	h.changedLocked()
	return len(p), nil
}

// end lets nothing more be written; what is under way arrives.
func (h *half) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.ended {
		h.ended = true
		h.pieces = append(h.pieces, piece{due: time.Now().Add(h.delay)})
		h.changedLocked()
	}
}

func (h *half) setDeadline(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deadline = t
	h.changedLocked()
}

func (h *half) read(p []byte) (int, error) {
	for {
		h.mu.Lock()
		now := time.Now()
		wake := h.deadline
		if !wake.IsZero() && !now.Before(wake) {
			h.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		}
		if len(h.pieces) > 0 {
			first := &h.pieces[0]
			if !now.Before(first.due) {
				n := copy(p, first.data)
				if first.data = first.data[n:]; len(first.data) == 0 && (n > 0 || !h.ended) {
					h.pieces = h.pieces[1:]
				}
				h.mu.Unlock()
				if n == 0 {
					return 0, io.EOF
				}
				return n, nil
			}
			if wake.IsZero() || first.due.Before(wake) {
				wake = first.due
			}
		}
		change := h.change
		h.mu.Unlock()
		var alarm <-chan time.Time
		if !wake.IsZero() {
			t := time.NewTimer(wake.Sub(now))
			defer t.Stop()
			alarm = t.C
		}
		select {
		case <-change:
		case <-alarm:
		}
	}
}

type wireEnd struct{ in, out *half }

func (e *wireEnd) Read(p []byte) (int, error)  { return e.in.read(p) }
func (e *wireEnd) Write(p []byte) (int, error) { return e.out.write(p) }

func (e *wireEnd) Close() error {
	e.out.end()
	e.in.end()
	return nil
}

func (e *wireEnd) LocalAddr() net.Addr                { return &net.UnixAddr{Name: "wire"} }
func (e *wireEnd) RemoteAddr() net.Addr               { return &net.UnixAddr{Name: "wire"} }
func (e *wireEnd) SetDeadline(t time.Time) error      { e.in.setDeadline(t); return nil }
func (e *wireEnd) SetReadDeadline(t time.Time) error  { e.in.setDeadline(t); return nil }
func (e *wireEnd) SetWriteDeadline(t time.Time) error { return nil }
