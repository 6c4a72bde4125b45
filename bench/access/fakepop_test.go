package access_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// servePOP3 is one session.
func (f *fake) servePOP3(p *peer) {
	p.say("+OK fake")
	var name string
	var b *box
	var letters []letter
	dead := map[int]bool{}
	for {
		line, ok := p.command()
		if !ok {
			return
		}
		verb, arg, _ := strings.Cut(line, " ")
		n, _ := strconv.Atoi(arg)
		if (verb == "RETR" || verb == "DELE") && (n < 1 || n > len(letters)) {
			verb = "no such message"
		}
		switch verb {
		case "USER":
			name = arg
			p.say("+OK")
		case "PASS":
			if arg != "secret" {
				p.say("-ERR [AUTH] no")
				continue
			}
			b = f.box(name)
			letters = f.snapshot(b)
			p.say("+OK in")
		case "STAT":
			f.stat(p, letters)
		case "UIDL", "LIST":
			p.say("+OK")
			for i, l := range letters {
				what := f.uidl(b, l)
				if verb == "LIST" {
					what = fmt.Sprint(f.size(l))
				}
				p.say("%d %s", i+1, what)
			}
			p.say(".")
		case "RETR":
			p.say("+OK")
			f.retr(p, letters[n-1].text)
		case "DELE":
			dead[letters[n-1].uid] = true
			p.say("+OK")
		case "QUIT":
			f.bury(b, dead)
			p.say("+OK bye")
			return
		default:
			p.say("-ERR what")
		}
	}
}

func (f *fake) stat(p *peer, letters []letter) {
	octets := 0
	for _, l := range letters {
		octets += len(l.text)
	}
	count := len(letters)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.strikesLocked("cut at STAT") {
		f.cutLocked()
	}
	if f.strikesLocked("STAT off") {
		count++
	}
	p.say("+OK %d %d", count, octets)
}

func (f *fake) uidl(b *box, l letter) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.strikesLocked("UIDL changed") {
		return "other"
	}
	return fmt.Sprintf("%d.%d", b.validity, l.uid)
}

func (f *fake) size(l letter) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.strikesLocked("size wrong") {
		return len(l.text) + 1
	}
	return len(l.text)
}

func (f *fake) retr(p *peer, text string) {
	f.mu.Lock()
	stuffed := !f.strikesLocked("dots lost")
	f.mu.Unlock()
	for line := range strings.SplitAfterSeq(text, "\r\n") {
		if strings.HasPrefix(line, ".") && line != ".\r\n" && stuffed {
			line = "." + line
		}
		_, _ = p.w.WriteString(line)
	}
	p.say(".")
}

// bury carries the deletions of a session out.
func (f *fake) bury(b *box, dead map[int]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.strikesLocked("cut before QUIT") {
		f.cutLocked()
		return
	}
	if f.strikesLocked("cut after QUIT") {
		defer f.cutLocked()
	}
	back := f.fault == "message comes back" && len(b.old) > 0 && f.strikesLocked("message comes back")
	var buried []*letter
	b.letters = slices.DeleteFunc(b.letters, func(l *letter) bool {
		if dead[l.uid] {
			buried = append(buried, l)
		}
		return dead[l.uid]
	})
	if len(buried) > 0 && f.strikesLocked("DELE forgotten") {
		b.letters = append(buried[:1:1], b.letters...)
	}
	if back {
		b.letters = append(b.letters, b.old[0])
	}
	b.old = append(b.old, buried...)
}
