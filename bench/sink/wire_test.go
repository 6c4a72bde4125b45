package sink

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"postrider/bench/ledger"
)

// script is a connection whose peer has said everything already, in pieces.
type scriptConn struct {
	in   []byte
	step int
	out  bytes.Buffer
	keep bool
}

func (c *scriptConn) Read(p []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.step)], c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *scriptConn) Write(p []byte) (int, error) {
	if c.keep {
		c.out.Write(p)
	}
	return len(p), nil
}

func (c *scriptConn) Close() error                     { return nil }
func (c *scriptConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *scriptConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *scriptConn) SetDeadline(time.Time) error      { return nil }
func (c *scriptConn) SetReadDeadline(time.Time) error  { return nil }
func (c *scriptConn) SetWriteDeadline(time.Time) error { return nil }

func wireFarm(t testing.TB, book *ledger.Ledger) *Farm {
	t.Helper()
	f, err := NewFarm(FarmOptions{Ledger: book, Verify: true, Front: "127.0.0.1:0", Sender: "bench.invalid"}, []string{"d0.test", "d1.test"}, []Site{
		{Domains: DomainSet{"d1"}, Policy: Policy{AddressReplies: true, Limits: Limits{Recipients: 2, Size: 300, Messages: 3}}}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// benchMessage is a transaction of a duty, of at least size bytes.
func benchMessage(seq uint64, size int) []byte {
	body := strings.Repeat("abcdefghijklmnopqrstuvwxyz\r\n", size/28+1)
	b := append([]byte("MAIL FROM:<load@bench.invalid>\r\nRCPT TO:<"), ledger.AppendRecipient(nil, seq, 0)...)
	b = append(b, "@d0.test>\r\nDATA\r\n"...)
	b = ledger.AppendHeader(b, ledger.Header{Run: 7, Seq: seq, Intended: time.Now().UnixMicro(), Hash: xxhash.Sum64String(body)})
	return append(append(b, "Subject: x\r\n\r\n"+body...), ".\r\n"...)
}

// A message costs no allocation.
func TestMessageAllocations(t *testing.T) {
	const messages = 1000
	book := ledger.New(7)
	f := wireFarm(t, book)
	in := []byte("EHLO x\r\n")
	for range messages {
		in = append(in, benchMessage(book.Issue(1), 4096)...)
	}
	n := testing.AllocsPerRun(5, func() {
		f.server.serve(t.Context(), &scriptConn{in: in, step: 8192}, nil)
	})
	if n > messages/10 {
		t.Errorf("%v allocations for a connection with %d messages", n, messages)
	}
	if got := f.Counts(); got.Messages != 6*messages || got.BadHash != 0 || book.Totals(0).Copies != 5*messages {
		t.Errorf("%+v", got)
	}
}

// Whatever a peer says, in pieces of any size it means the same, and each reply is
// a line with a code.
func FuzzCommands(f *testing.F) {
	f.Add(append([]byte("EHLO x\r\n"), benchMessage(0, 100)...), 3)
	f.Add([]byte("EHLO x\r\nMAIL FROM:<> SIZE=9\r\nRCPT TO:<load@bench.invalid>\r\nBDAT 5\r\n12345BDAT 2 LAST\r\n\r\nQUIT\r\n"), 1)
	f.Add([]byte("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<450-x@d1.test>\r\nRCPT TO:<a@d1.test>\r\nSTARTTLS\r\nRSET\r\nNOOP\r\n"), 2)
	book := ledger.New(7)
	book.Issue(3)
	farm := wireFarm(f, book)
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		var outs [2]string
		var counts [2]Counts
		for i, step := range []int{1 << 20, max(1, step)} {
			before := farm.Counts()
			c := &scriptConn{in: bytes.Clone(in), step: step, keep: true}
			farm.server.serve(t.Context(), c, nil)
			outs[i], counts[i] = c.out.String(), farm.Counts().less(before)
			for line := range strings.SplitSeq(strings.TrimSuffix(outs[i], "\r\n"), "\r\n") {
				if len(line) < 4 || line[0] < '2' || line[0] > '5' {
					t.Fatalf("%q is no reply", line)
				}
			}
		}
		if outs[0] != outs[1] || counts[0] != counts[1] {
			t.Errorf("%q\n%+v\nin one piece, in pieces of %d\n%q\n%+v", outs[0], counts[0], step, outs[1], counts[1])
		}
	})
}
