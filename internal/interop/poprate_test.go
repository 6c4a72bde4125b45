//go:build interop

package interop

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"postrider/bench/access"
	"postrider/bench/target"
)

// A client that pipelines fetches a mailbox over one connection from us and from
// Dovecot in turn; the ratio of the rates is that of the server programs, since both
// share the machine with the same client. What it is on a machine is in the log.
func TestPOP3Rate(t *testing.T) {
	const messages, sizeBytes, rounds = 1000, 4096, 5
	dovecot := startTarget(t, "dovecot", target.Need{Mailboxes: 1, Conns: 20})
	b, err := access.New(access.Options{
		POP3: dovecot.POP3(), LMTP: dovecot.LMTP(), Password: "secret", UserFormat: "rate%d@mail.bench.test",
		Workload: access.Poll, Users: 1, Size: sizeBytes, Timeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if _, err := b.Fill(ctx, messages); err != nil {
		t.Fatal(err)
	}
	s := newPopServer(t, 0, "rate")
	fillRate(t, s.addr, messages, sizeBytes)
	var rates [2][]float64
	for range rounds {
		for i, c := range [][3]string{{s.clear, "rate@isp.example", popPassword}, {dovecot.POP3(), "rate0@mail.bench.test", "secret"}} {
			rates[i] = append(rates[i], retrieveAll(t, c[0], c[1], c[2], messages))
		}
	}
	ours, theirs := median(rates[0]), median(rates[1])
	t.Logf("RETR of %d messages of %d octets, medians of %d: postrider %.0f/s, Dovecot %.0f/s, ratio %.2f", messages*passes, sizeBytes, rounds, ours, theirs, ours/theirs)
	if ours < theirs {
		t.Errorf("slower than Dovecot: %v, %v", rates[0], rates[1])
	}
}

func median(v []float64) float64 {
	sorted := append([]float64(nil), v...)
	for i := range sorted {
		for j := i; j > 0 && sorted[j] < sorted[j-1]; j-- {
			sorted[j], sorted[j-1] = sorted[j-1], sorted[j]
		}
	}
	return sorted[len(sorted)/2]
}

// fillRate sends messages over one connection.
func fillRate(t *testing.T, address string, messages, sizeBytes int) {
	t.Helper()
	c, err := smtp.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	text := "Subject: rate\r\n\r\n" + strings.Repeat(strings.Repeat("0123456789", 7)+"\r\n", sizeBytes/72)
	for range messages {
		if err := c.Mail("sender@far.example"); err != nil {
			t.Fatal(err)
		}
		if err := c.Rcpt("rate@isp.example"); err != nil {
			t.Fatal(err)
		}
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// passes is how often a session asks for each message.
const passes = 5

// retrieveAll logs in and returns how many messages a second come when all are asked
// for some times without waiting.
func retrieveAll(t *testing.T, address, user, password string, messages int) float64 {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	if err := nc.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	r := &answers{r: nc}
	for _, command := range []string{"", "USER " + user + "\r\n", "PASS " + password + "\r\n", "STAT\r\n"} {
		if _, err := io.WriteString(nc, command); err != nil {
			t.Fatal(err)
		}
		line, err := r.until("\r\n")
		if err != nil || !bytes.HasPrefix(line, []byte("+OK")) {
			t.Fatalf("%q answered by %q, %v", command, line, err)
		}
		if command == "STAT\r\n" && !bytes.HasPrefix(line, fmt.Appendf(nil, "+OK %d ", messages)) {
			t.Fatalf("%s has %q", address, line)
		}
	}
	began := time.Now()
	sent := make(chan error, 1)
	go func() {
		var b bytes.Buffer
		for i := range messages * passes {
			fmt.Fprintf(&b, "RETR %d\r\n", i%messages+1)
		}
		_, err := nc.Write(b.Bytes())
		sent <- err
	}()
	for range messages * passes {
		if text, err := r.until("\r\n.\r\n"); err != nil || !bytes.HasPrefix(text, []byte("+OK")) {
			t.Fatalf("%.100q, %v", text, err)
		}
	}
	took := time.Since(began)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(nc, "QUIT\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := r.until("\r\n"); err != nil || !bytes.HasPrefix(line, []byte("+OK")) {
		t.Fatalf("QUIT answered by %q, %v", line, err)
	}
	return float64(messages*passes) / took.Seconds()
}

// answers parts what a server says.
type answers struct {
	r    io.Reader
	buf  [256 << 10]byte
	a, b int // buf[a:b] is not used yet
}

// until returns what comes up to and with end, valid until the next call.
func (r *answers) until(end string) ([]byte, error) {
	for looked := 0; ; {
		if i := bytes.Index(r.buf[r.a+looked:r.b], []byte(end)); i >= 0 {
			text := r.buf[r.a : r.a+looked+i+len(end)]
			r.a += len(text)
			return text, nil
		}
		looked = max(0, r.b-r.a-len(end))
		if r.a > len(r.buf)/2 {
			copy(r.buf[:], r.buf[r.a:r.b])
			r.a, r.b = 0, r.b-r.a
		}
		n, err := r.r.Read(r.buf[r.b:])
		if err != nil {
			return nil, err
		}
		r.b += n
	}
}
