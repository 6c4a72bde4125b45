package access

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// pop3 speaks POP3 (RFC 1939) with a server.
type pop3 struct{ link }

// reply reads a status line and returns what follows +OK.
func (p *pop3) reply() ([]byte, error) {
	line, err := p.line()
	if err != nil {
		return nil, err
	}
	if text, ok := bytes.CutPrefix(line, []byte("+OK")); ok && (len(text) == 0 || text[0] == ' ') {
		return bytes.TrimLeft(text, " "), nil
	}
	if bytes.HasPrefix(line, []byte("-ERR")) {
		return nil, fmt.Errorf("%w: %s", errRefused, shorten(line))
	}
	return nil, malformed("%q is no status", shorten(line))
}

// ask sends a command and reads its status line.
func (p *pop3) ask(command string) ([]byte, error) {
	p.out = append(append(p.out, command...), "\r\n"...)
	if err := p.flush(); err != nil {
		return nil, err
	}
	return p.reply()
}

// askAbout is ask with the number of a message.
func (p *pop3) askAbout(command string, n int) ([]byte, error) {
	p.out = append(append(p.out, command...), ' ')
	p.out = append(strconv.AppendInt(p.out, int64(n), 10), "\r\n"...)
	if err := p.flush(); err != nil {
		return nil, err
	}
	return p.reply()
}

// begin connects, reads the greeting, turns to TLS if that is wanted, and logs in.
func (p *pop3) begin(ctx context.Context, o *Options, config *tls.Config, name string) error {
	var implicit *tls.Config
	if o.TLS == TLSImplicit {
		implicit = config
	}
	if err := p.open(ctx, o.POP3, o.Timeout, implicit); err != nil {
		return err
	}
	if _, err := p.reply(); err != nil {
		return err
	}
	if o.TLS == TLSStart {
		if _, err := p.ask("STLS"); err != nil {
			return err
		}
		if err := p.protect(ctx, o.POP3, config); err != nil {
			return err
		}
	}
	if _, err := p.ask("USER " + name); err != nil {
		return err
	}
	_, err := p.ask("PASS " + o.Password)
	return err
}

// stat returns how many messages there are and their octets.
func (p *pop3) stat() (messages int, octets int64, err error) {
	text, err := p.ask("STAT")
	if err != nil {
		return 0, 0, err
	}
	count, size, ok := twoFields(text)
	n, err1 := strconv.Atoi(string(count))
	octets, err2 := strconv.ParseInt(string(size), 10, 64)
	if !ok || err1 != nil || err2 != nil || n < 0 || octets < 0 {
		return 0, 0, malformed("%q answers STAT", shorten(text))
	}
	return n, octets, nil
}

// twoFields parts a line at its space; a third word is ignored (RFC 1939 allows
// servers to add to a scan listing).
func twoFields(line []byte) (a, b []byte, ok bool) {
	a, b, ok = bytes.Cut(line, []byte{' '})
	b, _, _ = bytes.Cut(b, []byte{' '})
	return a, b, ok && len(a) > 0 && len(b) > 0
}

// lines reads the rest of a multi-line answer; each line is without its stuffing.
func (p *pop3) lines(each func(line []byte) error) error {
	for {
		line, err := p.line()
		if err != nil {
			return err
		}
		if len(line) > 0 && line[0] == '.' {
			if line = line[1:]; len(line) == 0 {
				return nil
			}
		}
		if err := each(line); err != nil {
			return err
		}
	}
}

// listing reads "n what" lines, which must count from 1 without gaps: nothing was
// deleted yet in the session. It calls each with what.
func (p *pop3) listing(command string, each func(i int, what []byte) error) (n int, err error) {
	if _, err := p.ask(command); err != nil {
		return 0, err
	}
	err = p.lines(func(line []byte) error {
		at, what, ok := twoFields(line)
		if i, err := strconv.Atoi(string(at)); !ok || err != nil || i != n+1 {
			return malformed("%q is line %d of %s", shorten(line), n+1, command)
		}
		n++
		return each(n-1, what)
	})
	return n, err
}

// uidl appends the messages to list.
func (p *pop3) uidl(list []item) ([]item, error) {
	_, err := p.listing("UIDL", func(_ int, what []byte) error {
		list = append(list, item{key: xxhash.Sum64(what)})
		return nil
	})
	return list, err
}

// sizes adds what LIST says to list, which is that of the session.
func (p *pop3) sizes(list []item) error {
	n, err := p.listing("LIST", func(i int, what []byte) error {
		size, err := strconv.ParseInt(string(what), 10, 64)
		if err != nil || size <= 0 || i >= len(list) {
			return malformed("LIST says %q of message %d of %d", shorten(what), i+1, len(list))
		}
		list[i].size = size
		return nil
	})
	if err == nil && n != len(list) {
		err = malformed("LIST has %d messages, UIDL had %d", n, len(list))
	}
	return err
}

// retr reads message n, counted from 1.
func (p *pop3) retr(n int, e *examined) error {
	if _, err := p.askAbout("RETR", n); err != nil {
		return err
	}
	e.reset()
	return p.lines(func(line []byte) error {
		e.add(line)
		e.add([]byte("\r\n"))
		return nil
	})
}

// dele marks message n, counted from 1.
func (p *pop3) dele(n int) error {
	_, err := p.askAbout("DELE", n)
	return err
}
