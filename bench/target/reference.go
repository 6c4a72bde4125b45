package target

import (
	"bufio"
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Reference configures a relay made of go-smtp: what a simple design costs. It
// keeps mail in memory and answers before anything is delivered, so its
// durability class is D0. Go-smtp's client sends a command at a time.
type Reference struct {
	NextHop     string        // HOST:PORT that all mail goes to
	Connections int           // to the next hop; 0: 20
	MaxMessage  int64         // bytes; 0: no limit
	QueueBytes  int64         // texts that may wait; more get 452; 0: 1 GiB
	Retry       time.Duration // time until a delivery that failed is tried again; 0: 1 s
	Password    string        // offers AUTH PLAIN, any user has this password; "": no AUTH
	Suspended   bool          // deliver nothing until "resume" is read from the control
}

// reference is a relay that runs.
type reference struct {
	o      Reference
	queue  chan *letter
	later  chan retry    // letters to be tried again
	start  chan struct{} // closed when delivery begins
	once   sync.Once
	duties atomic.Int64 // recipients that have not ended
	bytes  atomic.Int64
}

// letter is a message that waits. Those of its recipients that have ended are gone
// from it.
type letter struct {
	from string
	to   []string
	text []byte
}

// queueLetters is how many messages may wait.
const queueLetters = 1 << 20

// Serve takes mail from l until ctx ends. On control it reads a question a line
// and writes an answer to out: "queued" is answered with the number of recipients
// that have not ended, "resume" begins delivery and is answered with "ok". Mail
// that waits when it ends is lost.
func (o Reference) Serve(ctx context.Context, l net.Listener, control io.Reader, out io.Writer) error {
	if o.Connections <= 0 {
		o.Connections = 20
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = 1 << 30
	}
	if o.Retry <= 0 {
		o.Retry = time.Second
	}
	r := &reference{o: o, queue: make(chan *letter, queueLetters), later: make(chan retry, queueLetters), start: make(chan struct{})}
	if !o.Suspended {
		r.resume()
	}
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	workers.Go(func() { r.again(ctx) })
	for range o.Connections {
		workers.Go(func() { r.deliver(ctx) })
	}
	if control != nil {
		// It ends when the control does, which the caller closes.
		go r.answer(control, out)
	}
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &referenceSession{r: r}, nil }))
	s.Domain = "reference.bench.test"
	s.MaxMessageBytes = o.MaxMessage
	s.ReadTimeout, s.WriteTimeout = 5*time.Minute, time.Minute
	s.AllowInsecureAuth, s.EnableSMTPUTF8, s.EnableBINARYMIME = true, true, true
	s.ErrorLog = silent{}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() }) // it closes l, whose error Serve returns
	defer stop()
	err := s.Serve(l)
	if ctx.Err() != nil || errors.Is(err, smtp.ErrServerClosed) {
		return nil
	}
	return err
}

// silent is where go-smtp's remarks about broken connections go.
type silent struct{}

// Printf implements smtp.Logger.
func (silent) Printf(string, ...any) {}

// Println implements smtp.Logger.
func (silent) Println(...any) {}

func (r *reference) resume() { r.once.Do(func() { close(r.start) }) }

// answer answers questions until there are no more.
func (r *reference) answer(control io.Reader, out io.Writer) {
	lines := bufio.NewScanner(control)
	for lines.Scan() {
		answer := "what?"
		switch lines.Text() {
		case "queued":
			answer = fmt.Sprint(r.duties.Load())
		case "resume":
			r.resume()
			answer = "ok"
		}
		if _, err := fmt.Fprintln(out, answer); err != nil {
			return
		}
	}
}

// referenceSession takes mail on one connection.
type referenceSession struct {
	r    *reference
	from string
	to   []string
}

// Reset implements smtp.Session.
func (s *referenceSession) Reset() { s.from, s.to = "", nil }

// Logout implements smtp.Session.
func (s *referenceSession) Logout() error { return nil }

// Mail implements smtp.Session.
func (s *referenceSession) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

// Rcpt implements smtp.Session.
func (s *referenceSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

// Data implements smtp.Session.
func (s *referenceSession) Data(in io.Reader) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "Received: from bench by reference.bench.test; %s\r\n", time.Now().Format(time.RFC1123Z))
	if _, err := text.ReadFrom(in); err != nil {
		return err
	}
	r, size := s.r, int64(text.Len())
	full := &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "queue is full"}
	if r.bytes.Add(size) > r.o.QueueBytes {
		r.bytes.Add(-size)
		return full
	}
	n := int64(len(s.to))
	r.duties.Add(n)
	select {
	case r.queue <- &letter{from: s.from, to: s.to, text: text.Bytes()}:
		return nil
	default:
		r.duties.Add(-n)
		r.bytes.Add(-size)
		return full
	}
}

// AuthMechanisms implements smtp.AuthSession.
func (s *referenceSession) AuthMechanisms() []string {
	if s.r.o.Password == "" {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth implements smtp.AuthSession.
func (s *referenceSession) Auth(mechanism string) (sasl.Server, error) {
	if s.r.o.Password == "" || mechanism != sasl.Plain {
		return nil, smtp.ErrAuthUnsupported
	}
	return sasl.NewPlainServer(func(_, _, password string) error {
		if subtle.ConstantTimeCompare([]byte(password), []byte(s.r.o.Password)) != 1 {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}
