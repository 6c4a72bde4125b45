//go:build !race

package pop3_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"postrider/access/pop3"
	"postrider/internal/auth"
)

// shelf is a maildrop of equal messages, which allocates nothing.
type shelf struct {
	n    int
	text equalText
}

// equalText is the text of each.
type equalText struct{ text []byte }

func (e *equalText) Size() int64 { return int64(len(e.text)) }
func (e *equalText) Release()    {}

func (e *equalText) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(e.text)
	return int64(n), err
}

func newShelf(n, size int) *shelf {
	line := strings.Repeat("0123456789", 7) + "\r\n"
	text := "Subject: equal\r\n\r\n" + strings.Repeat(line, size/len(line))
	return &shelf{n: n, text: equalText{[]byte(text)}}
}

func (s *shelf) Len() (int, error)                                    { return s.n, nil }
func (s *shelf) Stat() (int, int64, error)                            { return s.n, int64(s.n) * s.text.Size(), nil }
func (s *shelf) Size(int) (int64, error)                              { return s.text.Size(), nil }
func (s *shelf) Text(int) (pop3.Text, error)                          { return &s.text, nil }
func (s *shelf) Update(context.Context, pop3.Marks, pop3.Marks) error { return nil }
func (s *shelf) Close()                                               {}

func (s *shelf) AppendUID(dst []byte, i int) ([]byte, error) {
	return strconv.AppendInt(dst, int64(i), 10), nil
}

func (s *shelf) Scan(i int, _ pop3.Listed, each func(i int, m pop3.Meta) bool) error {
	m := pop3.Meta{Size: s.text.Size(), UID: []byte("uid-of-all")}
	for i < s.n && each(i, m) {
		i++
	}
	return nil
}

// dialShelf logs in to a server of the shelf.
func dialShelf(t testing.TB, s *shelf) net.Conn {
	t.Helper()
	o := &pop3.Options{}
	_, dial := start(t, o, newHouse("user"))
	o.Open = func(context.Context, *auth.User) (pop3.Maildrop, error) { return s, nil }
	nc := dial()
	t.Cleanup(func() { _ = nc.Close() })
	login(t, nc)
	return nc
}

// login says who is there.
func login(t testing.TB, nc net.Conn) {
	t.Helper()
	if _, err := io.WriteString(nc, enter); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, make([]byte, len("+OK mx.example POP3 postrider\r\n+OK Say PASS\r\n+OK\r\n"))); err != nil {
		t.Fatal(err)
	}
}

// exchange writes commands and reads as many octets as answer them.
func exchange(t testing.TB, nc net.Conn, commands, buf []byte, answer int) {
	if _, err := nc.Write(commands); err != nil {
		t.Fatal(err)
	}
	for answer > 0 {
		n, err := nc.Read(buf[:min(answer, len(buf))])
		if err != nil {
			t.Fatal(err)
		}
		answer -= n
	}
}

// Messages, lines of LIST and lines of UIDL cost no allocation each.
func TestNoAllocations(t *testing.T) {
	const messages = 1000
	s := newShelf(messages, 4096)
	nc := dialShelf(t, s)
	buf := make([]byte, 64<<10)
	size := len(s.text.text)
	retr := strings.Repeat("RETR 7\r\n", 100)
	numbers := 9*1 + 90*2 + 900*3 + 4 // digits of 1 to 1000
	for _, c := range []struct {
		name, commands string
		answer, per    int
	}{
		{"RETR", retr, 100 * (len("+OK 4098 octets\r\n.\r\n") + size), 100},
		{"TOP", strings.ReplaceAll(retr, "RETR 7", "TOP 7 9999"), 100 * (len("+OK 4098 octets\r\n.\r\n") + size), 100},
		{"LIST", "LIST\r\n", len("+OK\r\n.\r\n") + numbers + messages*len(fmt.Sprintf(" %d\r\n", size)), messages},
		{"UIDL", "UIDL\r\n", len("+OK\r\n.\r\n") + numbers + messages*len(" uid-of-all\r\n"), messages},
		{"DELE", strings.Repeat("DELE 7\r\nRSET\r\n", 100), 100 * len("+OK Marked\r\n+OK Nothing is marked\r\n"), 100},
	} {
		n := testing.AllocsPerRun(20, func() { exchange(t, nc, []byte(c.commands), buf, c.answer) })
		if each := n / float64(c.per); each > 0.1 {
			t.Errorf("%s: %v allocations for each of %d", c.name, each, c.per)
		}
	}
}

// A pipelining client fetches messages of 4 KiB as fast as they are formatted.
func BenchmarkRetr(b *testing.B) {
	s := newShelf(5000, 4096)
	nc := dialShelf(b, s)
	buf := make([]byte, 64<<10)
	commands := []byte(strings.Repeat("RETR 7\r\n", 100))
	b.SetBytes(int64(len(s.text.text)))
	b.ReportAllocs()
	for b.Loop() {
		exchange(b, nc, commands, buf, 100*(len("+OK 4098 octets\r\n.\r\n")+len(s.text.text)))
	}
	b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "messages/s")
}
