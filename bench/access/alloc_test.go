package access

import (
	"bytes"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// discard is a connection that takes everything and says nothing.
type discard struct{}

func (discard) Read([]byte) (int, error)         { return 0, net.ErrClosed }
func (discard) Write(b []byte) (int, error)      { return len(b), nil }
func (discard) Close() error                     { return nil }
func (discard) LocalAddr() net.Addr              { return nil }
func (discard) RemoteAddr() net.Addr             { return nil }
func (discard) SetDeadline(time.Time) error      { return nil }
func (discard) SetReadDeadline(time.Time) error  { return nil }
func (discard) SetWriteDeadline(time.Time) error { return nil }

// mails makes a model of n listed messages of ours.
func mails(n int) *mailbox {
	m := newMailbox(1, "u", "u@bench.test")
	m.adopt = false
	for i := range n {
		m.mails = append(m.mails, mail{number: uint32(i + 1), key: uint64(i + 10), size: 100, known: true})
	}
	return m
}

// What a session reads and compares for each message costs no memory.
func TestAllocations(t *testing.T) {
	var src bytes.Reader
	box := mails(1)
	text, _ := appendMessage(nil, nil, 3, box, 1, 4096)
	fetch := []byte("* 1 FETCH (UID 10 FLAGS (\\Seen) RFC822.SIZE 100 ENVELOPE (NIL \"bench 1\" NIL NIL NIL NIL NIL NIL NIL \"<i>\"))\r\na1 OK done\r\n")
	literal := append([]byte("* 1 FETCH (UID 10 BODY[] {"+strconv.Itoa(len(text))+"}\r\n"), text...)
	literal = append(literal, ")\r\na1 OK done\r\n"...)
	c := &imap{tag: 1, exists: 10}
	wholeTexts := 0
	c.onFetch = func(f *fetched) error {
		if f.text.whole() {
			wholeTexts++
		}
		return nil
	}
	p := &pop3{}
	p.conn = discard{}
	var e examined
	retr := []byte("+OK\r\n" + strings.ReplaceAll(string(text), "\n.", "\n..") + ".\r\n")
	list := make([]item, 200)
	for i := range list {
		list[i] = item{key: uint64(i + 10), size: 100, said: true}
	}
	big := mails(len(list))
	for name, run := range map[string]func() error{
		"FETCH ENVELOPE": func() error { src.Reset(fetch); c.reset(&src); return c.answer() },
		"FETCH BODY":     func() error { src.Reset(literal); c.reset(&src); return c.answer() },
		"RETR":           func() error { src.Reset(retr); p.reset(&src); return p.retr(1, &e) },
		"listing": func() error {
			big.compare(list, t.Errorf)
			return nil
		},
	} {
		most := 0.0
		if name == "RETR" || name == "FETCH BODY" {
			most = 4 // the four numbers of the identity
		}
		if n := testing.AllocsPerRun(100, func() {
			if err := run(); err != nil {
				t.Fatal(name, err)
			}
		}); n > most {
			t.Errorf("%s: %v allocations, want at most %v", name, n, most)
		}
	}
	if !e.whole() || e.number != 1 || wholeTexts < 100 {
		t.Errorf("the text was not read, or only %d times: %+v", wholeTexts, e)
	}
}

// A damaged text is told from a whole one, wherever it is damaged.
func TestExamined(t *testing.T) {
	box := mails(0)
	for number := uint32(1); number < 6; number++ {
		text, _ := appendMessage(nil, nil, 9, box, number, 600)
		var e examined
		e.reset()
		e.add(text)
		if !e.whole() || e.seed != 9 || e.mailbox != 1 || e.number != number || e.octets != int64(len(text)) {
			t.Fatalf("message %d: %+v", number, e)
		}
		body := bytes.Index(text, []byte("\r\n\r\n")) + 4
		for at := body; at < len(text); at++ {
			text[at] ^= 1
			e.reset()
			e.add(text[:at])
			e.add(text[at:])
			if e.whole() {
				t.Errorf("message %d is whole with octet %d changed", number, at)
			}
			text[at] ^= 1
		}
	}
}
