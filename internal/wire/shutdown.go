package wire

import (
	"context"
	"errors"
	"time"
)

// Shutdown drains: sessions that wait for a command end, busy ones finish, new
// clients are refused, and when all sessions have ended the listeners close and it
// returns nil. When ctx ends first it cuts the rest as Close does and returns the
// cause without waiting for them.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.Drain()
	if cut := s.Settle(ctx); cut != nil {
		err = cut
	}
	return errors.Join(err, s.closeListeners())
}

// Drain begins a shutdown and returns at once.
func (s *Server) Drain() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.draining.Swap(true) // before a listener closes: Serve asks it why
	err := s.closeListenersLocked(false)
	if first && s.open == 0 {
		close(s.idle)
	}
	if first {
		for c := s.conns; c != nil; c = c.next {
			ignore(c.base.SetReadDeadline(time.Unix(1, 0)))
		}
	}
	return err
}

// Settle waits for the sessions of a server that drains. When ctx ends first it
// cuts them and returns the cause without waiting for them; Wait does. New clients
// are refused until Shutdown or Close.
func (s *Server) Settle(ctx context.Context) error {
	select {
	case <-s.idle:
		s.sessions.Wait()
		return nil
	case <-ctx.Done():
		s.cut()
		return context.Cause(ctx)
	}
}

// Close stops accepting and cuts all connections at once. It does not wait for
// their sessions; Wait does.
func (s *Server) Close() error {
	err := errors.Join(s.Drain(), s.closeListeners())
	s.cut()
	return err
}

// Wait returns when no session is left. It must follow Settle, Shutdown or Close.
func (s *Server) Wait() { s.sessions.Wait() }

// closeListeners ends all accepting.
func (s *Server) closeListeners() error {
	s.stop.Do(func() { close(s.done) })
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeListenersLocked(true)
}

// closeListenersLocked closes the shared listeners, or all of them.
func (s *Server) closeListenersLocked(all bool) error {
	var err error
	for l, shared := range s.listeners {
		if all || shared {
			err = errors.Join(err, l.Close())
			delete(s.listeners, l)
		}
	}
	return err
}

func (s *Server) cut() {
	s.stop.Do(func() { close(s.done) })
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := s.conns; c != nil; c = c.next {
		ignore(c.base.Close())
	}
}
