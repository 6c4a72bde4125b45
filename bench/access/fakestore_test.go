package access_test

import (
	"slices"
	"strings"
)

// store is UID STORE.
func (s *imapSession) store(arg string) {
	f := strings.SplitN(arg, " ", 3)
	defer s.cut("cut at STORE")
	flag := strings.Trim(f[2], "()")
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	for i := range s.letters {
		l := &s.letters[i]
		if !within(f[0], l.uid, 0) {
			continue
		}
		l.flags = slices.DeleteFunc(l.flags, func(x string) bool { return x == flag })
		if f[1][0] == '+' {
			l.flags = append(l.flags, flag)
		}
		silent := strings.HasSuffix(f[1], ".SILENT")
		// The last one is not expunged in the same session.
		wrong := !silent && i == len(s.letters)-1 && s.f.strikesLocked("STORE wrong")
		for _, kept := range s.b.letters {
			if kept.uid == l.uid && !kept.stuck {
				kept.flags = slices.Clone(l.flags)
				if wrong {
					kept.flags, kept.stuck = append(kept.flags, `\Draft`), true
				}
			}
		}
		if !silent && !s.f.strikesLocked("STORE silent") {
			s.say("* %d FETCH (UID %d FLAGS (%s))", i+1, l.uid, strings.Join(l.flags, " "))
		}
	}
}

func (s *imapSession) expunge() {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if s.f.strikesLocked("cut before EXPUNGE") {
		s.f.cutLocked()
		return
	}
	if s.f.strikesLocked("cut after EXPUNGE") {
		defer s.f.cutLocked()
	}
	if s.f.strikesLocked("EXPUNGE forgotten") {
		return
	}
	if s.f.strikesLocked("EXPUNGE too much") {
		l := &s.letters[len(s.letters)-1]
		l.flags = append(l.flags, `\Deleted`)
	}
	for i := 0; i < len(s.letters); {
		l := s.letters[i]
		if !slices.Contains(l.flags, `\Deleted`) {
			i++
			continue
		}
		s.say("* %d EXPUNGE", i+1)
		s.letters = slices.Delete(s.letters, i, i+1)
		s.b.letters = slices.DeleteFunc(s.b.letters, func(x *letter) bool { return x.uid == l.uid })
	}
}

// idle tells what comes until DONE; false when the connection has ended.
func (s *imapSession) idle() bool {
	s.f.mu.Lock()
	s.b.watchers[s.changed] = true
	s.f.mu.Unlock()
	defer s.unwatch()
	s.say("+ idling")
	if s.w.Flush() != nil {
		return false
	}
	done := make(chan bool, 1)
	s.f.conns.Go(func() {
		line, err := s.ReadString('\n')
		done <- err == nil && line == "DONE\r\n"
	})
	for {
		select {
		case ok := <-done:
			return ok
		case <-s.changed:
			s.letters = s.f.snapshot(s.b)
			s.say("* %d EXISTS", len(s.letters))
			if s.w.Flush() != nil {
				<-done
				return false
			}
		}
	}
}

func (s *imapSession) unwatch() {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if s.b != nil {
		delete(s.b.watchers, s.changed)
	}
}

func (s *imapSession) cut(fault string) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if s.f.strikesLocked(fault) {
		s.f.cutLocked()
	}
}
