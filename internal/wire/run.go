package wire

import "runtime/debug"

// run is the goroutine of one session, or of what it does between two parkings.
func (s *Server) run(c *Conn) {
	defer s.rest(c)
	defer s.recover(c)
	if p := c.parked; p != nil {
		c.parked = nil
		p.Resume()
	} else {
		s.o.Handle(c)
	}
	if c.parked == nil {
		ignore(c.Flush())
	}
}

// rest ends a session, or lets it wait if it has parked.
func (s *Server) rest(c *Conn) {
	if c.parked != nil {
		go s.await(c)
		return
	}
	defer s.sessions.Done()
	defer s.closed(c)
	defer s.remove(c)
	defer s.census.leave(c.remote.Addr())
	c.close()
}

func (s *Server) closed(c *Conn) {
	if s.o.Closed != nil {
		s.o.Closed(c, c.reason)
	}
}

// recover keeps a panic of one session from ending all of them.
func (s *Server) recover(c *Conn) {
	v := recover()
	if v == nil {
		return
	}
	c.reason, c.parked = ReasonPanic, nil
	if s.o.Panicked != nil {
		s.o.Panicked(c, v, debug.Stack())
	}
}
