package access_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// imapSession is one session of the fake.
type imapSession struct {
	f *fake
	*peer
	name    string
	b       *box
	letters []letter // as the client knows them
	changed chan struct{}
}

func (f *fake) serveIMAP(p *peer) {
	s := &imapSession{f: f, peer: p, changed: make(chan struct{}, 1)}
	defer s.unwatch()
	p.say("* OK [CAPABILITY IMAP4rev1 IDLE] fake")
	for {
		line, ok := p.command()
		if !ok {
			return
		}
		tag, rest, _ := strings.Cut(line, " ")
		verb, arg, _ := strings.Cut(rest, " ")
		switch verb {
		case "LOGIN":
			if !strings.HasSuffix(arg, `"secret"`) {
				p.say("%s NO [AUTHENTICATIONFAILED] no", tag)
				continue
			}
			s.name = strings.Trim(strings.Fields(arg)[0], `"`)
			s.b = f.box(s.name)
		case "SELECT":
			s.choose()
		case "STATUS":
			s.status()
		case "FETCH":
			s.fetch(arg, false)
		case "UID":
			verb, arg, _ := strings.Cut(arg, " ")
			s.uid(verb, arg)
		case "NOOP":
		case "EXPUNGE":
			s.expunge()
		case "IDLE":
			if !s.idle() {
				return
			}
		case "LOGOUT":
			p.say("* BYE\r\n%s OK", tag)
			return
		default:
			p.say("%s BAD what", tag)
			continue
		}
		p.say("%s OK done", tag)
	}
}

func (s *imapSession) choose() {
	s.letters = s.f.snapshot(s.b)
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if s.f.strikesLocked("cut at SELECT") {
		s.f.cutLocked()
	}
	if s.f.strikesLocked("UIDVALIDITY changed") {
		s.b.validity++
	}
	next := s.b.next
	if s.f.strikesLocked("UIDNEXT falls") {
		next = 1
	}
	exists := len(s.letters)
	if s.f.strikesLocked("EXISTS off") {
		exists++
	}
	s.say(`* FLAGS (\Seen \Answered \Flagged \Deleted \Draft)`)
	s.say("* %d EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY %d] valid\r\n* OK [UIDNEXT %d] next", exists, s.b.validity, next)
}

func (s *imapSession) status() {
	all := s.f.snapshot(s.b)
	unseen := 0
	for _, l := range all {
		if !slices.Contains(l.flags, `\Seen`) {
			unseen++
		}
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if s.f.strikesLocked("UNSEEN off") {
		unseen++
	}
	s.say("* STATUS INBOX (MESSAGES %d UNSEEN %d UIDNEXT %d UIDVALIDITY %d)", len(all), unseen, s.b.next, s.b.validity)
}

func (s *imapSession) uid(verb, arg string) {
	switch verb {
	case "FETCH":
		s.fetch(arg, true)
	case "STORE":
		s.store(arg)
	case "SEARCH":
		s.f.mu.Lock()
		forget := s.f.strikesLocked("SEARCH forgets")
		s.f.mu.Unlock()
		found := "* SEARCH"
		for _, l := range s.letters {
			if !slices.Contains(l.flags, `\Seen`) && !forget {
				found += fmt.Sprint(" ", l.uid)
			}
		}
		s.say("%s", found)
	}
}

// within reports whether n is in a set "a" or "a:b"; last is what * means.
func within(set string, n, last int) bool {
	value := func(s string) int {
		if s == "*" {
			return last
		}
		v, _ := strconv.Atoi(s)
		return v
	}
	from, to, ok := strings.Cut(set, ":")
	if !ok {
		to = from
	}
	a, b := value(from), value(to)
	return n >= min(a, b) && n <= max(a, b)
}

func (s *imapSession) fetch(arg string, byUID bool) {
	set, items, _ := strings.Cut(arg, " ")
	for i, l := range s.letters {
		n, last := i+1, len(s.letters)
		if byUID {
			n, last = l.uid, s.letters[len(s.letters)-1].uid
		}
		if within(set, n, last) && !s.forgets() {
			s.say("* %d FETCH (UID %d%s)", i+1, l.uid, s.attributes(items, l))
		}
	}
}

func (s *imapSession) forgets() bool {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return s.f.strikesLocked("FETCH forgets")
}

func (s *imapSession) attributes(items string, l letter) string {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	out := ""
	has := func(item string) bool { return strings.Contains(items, item) }
	if has("FLAGS") {
		flags := l.flags
		if s.f.strikesLocked("wrong flags") {
			flags = append(slices.Clone(flags), `\Draft`)
		}
		out += " FLAGS (" + strings.Join(flags, " ") + ` \Recent keyword)`
	}
	if has("SIZE") {
		out += fmt.Sprint(" RFC822.SIZE ", len(l.text))
	}
	if has("ENVELOPE") {
		_, subject, _ := strings.Cut(l.text, "Subject: ")
		subject, _, _ = strings.Cut(subject, "\r\n")
		if s.f.strikesLocked("subject wrong") {
			subject = "spam"
		}
		out += fmt.Sprintf(` INTERNALDATE "01-Jan-2026 00:00:00 +0000" ENVELOPE ("d" {%d}%s%s ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL NIL "<i>")`, len(subject), "\r\n", subject)
	}
	if has("BODYSTRUCTURE") {
		text := l.text
		if s.f.strikesLocked("structure wrong") {
			text += "more\r\n"
		}
		out += " BODYSTRUCTURE " + structure(text)
	}
	if has("BODY.PEEK[]") {
		text, size := l.text, len(l.text)
		if s.f.strikesLocked("literal cut") {
			text, size = text[:len(text)-3], size-3
		}
		if s.f.strikesLocked("literal bytes lost") {
			text = text[:len(text)-3]
		}
		out += fmt.Sprintf(" BODY[] {%d}\r\n%s", size, text)
	}
	return out
}

// structure is the body structure of a text of the bench.
func structure(text string) string {
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	leaf := func(kind, text string) string {
		return fmt.Sprintf(`(%s ("charset" "us-ascii") NIL NIL "7bit" %d NIL NIL NIL)`, kind, len(text))
	}
	_, b, multi := strings.Cut(head, `boundary="`)
	if !multi {
		return leaf(`"text" "plain"`, body)
	}
	b, _, _ = strings.Cut(b, `"`)
	out := "("
	for _, part := range strings.Split("\r\n"+body, "\r\n--"+b)[1:] {
		if !strings.HasPrefix(part, "--") {
			_, inner, _ := strings.Cut(part, "\r\n\r\n")
			out += leaf(`"application" "x"`, inner)
		} else if part != "--\r\n" {
			out += leaf(`"text" "plain"`, part)
		}
	}
	return out + ` "mixed" ("boundary" "x") NIL (NIL))`
}
