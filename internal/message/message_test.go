package message_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postrider/internal/mail"
	"postrider/internal/message"
)

var at = time.Date(2026, 11, 22, 23, 30, 5, 0, time.FixedZone("", 3600))

// Covers R23.
func TestAppendReceived(t *testing.T) {
	id := mail.MakeID(1, 2, 3, 4)
	for _, c := range []struct {
		r    message.Received
		want string
	}{
		{message.Received{Helo: []byte("client.example"), Client: netip.MustParseAddr("192.0.2.1"), By: "mx.example", Protocol: "ESMTPS", TLS: "TLSv1.3", For: []byte("b@far.example")},
			"Received: from client.example ([192.0.2.1])\r\n\t(using TLSv1.3)\r\n\tby mx.example with ESMTPS id " + id.String() + "\r\n\tfor <b@far.example>;\r\n\tSun, 22 Nov 2026 23:30:05 +0100\r\n"},
		{message.Received{Helo: []byte("[IPv6:::1]"), Client: netip.MustParseAddr("2001:db8::1"), By: "mx.example", Protocol: "SMTP"},
			"Received: from [IPv6:::1] ([IPv6:2001:db8::1])\r\n\tby mx.example with SMTP id " + id.String() + ";\r\n\tSun, 22 Nov 2026 23:30:05 +0100\r\n"},
		{message.Received{By: "mx.example", Protocol: "LMTP", Client: netip.Addr{}},
			"Received: from unknown (localhost)\r\n\tby mx.example with LMTP id " + id.String() + ";\r\n\tSun, 22 Nov 2026 23:30:05 +0100\r\n"},
	} {
		c.r.ID, c.r.Time = id, at
		got := message.AppendReceived(nil, &c.r)
		if string(got) != c.want {
			t.Errorf("\ngot  %q\nwant %q", got, c.want)
		}
		var s message.Scanner
		s.Scan(got)
		if s.Received != 1 || s.Done() {
			t.Errorf("%d received in %q", s.Received, got)
		}
	}
}

// reference scans a whole text line by line.
func reference(text string) (received int, delivered []string, waived, ended bool) {
	fields := false
	for rest := text; rest != ""; {
		i := strings.IndexByte(rest, '\n')
		line, whole := rest, false
		if i >= 0 {
			line, whole = rest[:i+1], true
		}
		rest = rest[len(line):]
		if line[0] == '\r' || line[0] == '\n' {
			return received, delivered, waived, len(line) > 1 || line[0] == '\n'
		}
		if line[0] == ' ' || line[0] == '\t' {
			if !fields {
				return received, delivered, waived, true
			}
			continue
		}
		n := 0
		for n < len(line) && line[n] > ' ' && line[n] < 0x7f && line[n] != ':' {
			n++
		}
		name, value := strings.ToLower(line[:n]), line[n:]
		value = strings.TrimLeft(value, " \t")
		if value == "" {
			return received, delivered, waived, false // cut within the name
		}
		if value[0] != ':' || n == 0 {
			return received, delivered, waived, true
		}
		fields = true
		switch {
		case name == "received":
			received++
		case name == "delivered-to" && whole && len(value)-1 <= 256:
			delivered = append(delivered, string(bytes.TrimSpace([]byte(value[1:]))))
		case name == "tls-required" && whole && len(value)-1 <= 256:
			waived = waived || strings.EqualFold(string(bytes.TrimSpace([]byte(value[1:]))), "No")
		}
	}
	return received, delivered, waived, false
}

// The scanner must see the same whatever the pieces in which a text comes, and
// the same as a slow reading of the whole.
//
// Covers R23, HS6.
func FuzzScanner(f *testing.F) {
	f.Add("Received: a\r\n\tb\r\nReCeIvEd : c\r\nX-Received: d\r\nDelivered-To:  a@b \r\n\r\nReceived: no\r\n", uint8(0))
	f.Add("Received\r\nReceived: x\r\n", uint8(3))
	f.Add(" Received: x\r\nReceived: x\r\n", uint8(1))
	f.Add("Delivered-To: "+strings.Repeat("x", 300)+"\r\nDelivered-Too: y\r\n:\r\n", uint8(7))
	f.Add("\rReceived: x\r\n", uint8(2))
	f.Add("TLS-Required: No\r\nDelivered-To: a@b\r\n", uint8(2))
	f.Add("tls-required :nO \r\n\r\n", uint8(4))
	f.Add("TLS-Required: Yes\r\nTLS-Required: No\r\n more\r\n\r\n", uint8(4))
	f.Add("TLS-Required: None\r\n\r\nTLS-Required: No\r\n", uint8(4))
	f.Fuzz(func(t *testing.T, text string, step uint8) {
		var delivered []string
		s := message.Scanner{Delivered: func(v []byte) { delivered = append(delivered, string(v)) }}
		for range 2 { // the second time after a Reset
			s.Reset()
			delivered = nil
			for rest := text; rest != ""; {
				n := min(len(rest), int(step)+1)
				s.Scan([]byte(rest[:n]))
				rest = rest[n:]
			}
		}
		received, want, waived, ended := reference(text)
		if s.Received != received || strings.Join(delivered, "\n") != strings.Join(want, "\n") || s.Done() != ended {
			t.Errorf("%q: %d received, %q delivered, done %v; want %d, %q, %v", text, s.Received, delivered, s.Done(), received, want, ended)
		}
		if s.TLSWaived != waived {
			t.Errorf("%q: TLS waived %v", text, s.TLSWaived)
		}
		if s.HeaderBytes > int64(len(text)) || !s.Done() && s.HeaderBytes != int64(len(text)) {
			t.Errorf("%q: %d octets of %d", text, s.HeaderBytes, len(text))
		}
	})
}

func TestNoAllocations(t *testing.T) {
	text := []byte("Received: a\r\nDelivered-To: a@b\r\nSubject: x\r\n\r\nbody\r\n")
	seen := 0
	s := message.Scanner{Delivered: func([]byte) { seen++ }}
	r := message.Received{Helo: []byte("a"), Client: netip.MustParseAddr("192.0.2.1"), By: "b", Protocol: "ESMTP", Time: at}
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		s.Reset()
		s.Scan(text)
		dst = message.AppendReceived(dst[:0], &r)
	}); n > 0 || seen == 0 || s.Received != 1 {
		t.Errorf("%v allocations, %d seen, %d received", n, seen, s.Received)
	}
}
