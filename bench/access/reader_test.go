package access

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// client returns an IMAP client that reads text and has said nothing.
func client(text io.Reader) *imap {
	c := &imap{tag: 1, exists: 1 << 30}
	c.reset(text)
	return c
}

// drain reads responses until the text is over, and tells what they said.
func drain(text io.Reader) (told string, err error) {
	c := client(text)
	var out strings.Builder
	c.onFetch = func(f *fetched) error {
		fmt.Fprintf(&out, "%d uid %d size %d %s %q %v %v %d %v %x\n", f.seq, f.uid, f.size, flagNames(f.flags),
			f.subject, f.structure, f.hasText, f.text.octets, f.text.whole(), f.text.digest.Sum64())
		return nil
	}
	c.onFound = func(uid uint64) { fmt.Fprintf(&out, "found %d\n", uid) }
	c.onExists = func(n, _ int) { fmt.Fprintf(&out, "exists %d\n", n) }
	c.onGone = func(n int) error { fmt.Fprintf(&out, "gone %d\n", n); return nil }
	for err == nil {
		_, _, err = c.response()
	}
	fmt.Fprintf(&out, "%+v %d %d", c.status, c.uidValidity, c.uidNext)
	return out.String(), err
}

// What a server says is read the same whether it comes at once or octet by octet,
// and nothing that it says makes the reader fail otherwise than by an error.
func FuzzIMAPReader(f *testing.F) {
	for _, s := range []string{
		"* OK [UIDNEXT 12] hi\r\n* 3 EXISTS\r\n* 2 EXPUNGE\r\na1 OK done\r\n",
		"* SEARCH 1 2 3\r\n* STATUS {5}\r\nINBOX (MESSAGES 1 UNSEEN 2 UIDNEXT 3 UIDVALIDITY 4)\r\n+ go\r\n",
		"* 1 FETCH (UID 9 FLAGS (\\Seen $x) RFC822.SIZE 44 BODY[] {12}\r\nA: b\r\n\r\nabcd)\r\n",
		"* 1 FETCH (ENVELOPE (NIL \"a \\\"b\\\"\" ((NIL NIL \"x\" \"y\")) NIL NIL NIL NIL NIL NIL \"<i>\"))\r\n",
		"* 1 FETCH (BODYSTRUCTURE ((\"text\" \"plain\" NIL NIL NIL \"7bit\" 5 1)(\"a\" \"b\" NIL NIL NIL \"x\" 9) \"mixed\" (\"b\" \"c\") NIL))\r\n",
		"* 1 FETCH (BODY[HEADER.FIELDS (FROM TO)] {4}\r\nabcd X (1 (2 (3))))\r\n",
		"* BYE\r\na1 NO [X] no\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		whole, err := drain(bytes.NewReader(text))
		pieces, err2 := drain(iotest.OneByteReader(bytes.NewReader(text)))
		if whole != pieces || err.Error() != err2.Error() {
			t.Errorf("at once:\n%s %v\nin pieces:\n%s %v", whole, err, pieces, err2)
		}
		if !errors.Is(err, errMalformed) && !errors.Is(err, errRefused) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("error %v", err)
		}
	})
}

// drainPOP3 reads the answers to UIDL, LIST, RETR and STAT, and tells them.
func drainPOP3(text io.Reader) (told string, err error) {
	p := &pop3{}
	p.reset(text)
	p.conn, p.stop = discard{}, func() bool { return true }
	var out strings.Builder
	var e examined
	list, err := p.uidl(nil)
	fmt.Fprint(&out, list)
	if err == nil {
		err = p.sizes(list)
		fmt.Fprint(&out, list)
	}
	for err == nil {
		if err = p.retr(1, &e); err == nil {
			fmt.Fprint(&out, e.octets, e.digest.Sum64(), e.found)
			var n int
			var octets int64
			n, octets, err = p.stat()
			fmt.Fprint(&out, n, octets)
		}
	}
	return out.String(), err
}

func FuzzPOP3Reader(f *testing.F) {
	f.Add([]byte("+OK\r\n1 abc\r\n2 def\r\n.\r\n+OK\r\n1 10\r\n2 20 extra\r\n.\r\n+OK\r\nA: b\r\n\r\n..x\r\n.\r\n+OK 2 30\r\n+OK\r\n.\r\n"))
	f.Add([]byte("+OK\r\n.\r\n+OK\r\n.\r\n-ERR no\r\n"))
	f.Add([]byte("+OK\r\n2 abc\r\n.\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		whole, err := drainPOP3(bytes.NewReader(text))
		pieces, err2 := drainPOP3(iotest.OneByteReader(bytes.NewReader(text)))
		if whole != pieces || err.Error() != err2.Error() {
			t.Errorf("at once:\n%s %v\nin pieces:\n%s %v", whole, err, pieces, err2)
		}
		if !errors.Is(err, errMalformed) && !errors.Is(err, errRefused) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("error %v", err)
		}
	})
}

// Answers that break the grammar are the server's fault.
func TestMalformedAnswers(t *testing.T) {
	for _, text := range []string{
		"* 1 EXISTS\n",
		"a2 OK\r\n",
		"a1 WHAT\r\n",
		"(\r\n",
		"* 1 FETCH (UID x)\r\n",
		"* 1 FETCH (FLAGS \\Seen)\r\n",
		"* 1 FETCH (UID 1\r\n",
		"* 1 FETCH (UID 1))\r\n",
		"* 1 FETCH (X \"abc\r\n",
		"* 1 FETCH (X {abc}\r\n",
		"* 1 FETCH (X {99999999999}\r\n",
		"* 1 FETCH (ENVELOPE (NIL NIL))\r\n",
		"* 1 FETCH (BODYSTRUCTURE (\"a\" \"b\"))\r\n",
		"* 1 FETCH (BODY[] NIL)\r\n",
		"* 1 FETCH (X " + strings.Repeat("(", 100) + "\r\n",
		"* 0 EXPUNGE\r\n",
		"* SEARCH x\r\n",
		"* STATUS INBOX (MESSAGES)\r\n",
		"* " + strings.Repeat("x", longestToken+1) + "\r\n",
		"* OK " + strings.Repeat("x", readerMost+1) + "\r\n",
	} {
		if _, err := drain(strings.NewReader(text)); !errors.Is(err, errMalformed) {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}

// A line or literal longer than the first buffer, and the sum of a structure.
func TestLongAnswers(t *testing.T) {
	body := strings.Repeat("0123456789", 30_000)
	told, err := drain(strings.NewReader("* OK " + strings.Repeat("y", 40_000) + "\r\n" +
		fmt.Sprintf("* 1 FETCH (UID 5 BODY[] {%d}\r\n%s FLAGS ())\r\n", len(body), body) +
		`* 2 FETCH (BODYSTRUCTURE ((("a" "b" NIL NIL NIL "7bit" 5 1)("a" "b" NIL NIL NIL "7bit" 6) "alternative")("c" "d" ("x" "y") NIL NIL "7bit" 7 NIL NIL) "mixed" ("p" "q") NIL (NIL)))` + "\r\n"))
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	for _, want := range []string{"1 uid 5", "true 300000", "{3 18}"} {
		if !strings.Contains(told, want) {
			t.Errorf("%q is not in\n%s", want, told)
		}
	}
}
