package outbound_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"postrider/internal/mail"
	"postrider/relay/outbound"
)

// takesOnly is a server that closes each connection after so many messages. It counts
// the refusals that this costs.
func takesOnly(l net.Listener, messages int, refused *int, done chan<- int) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		done <- sayOnly(conn, messages, refused)
	}
}

func sayOnly(conn net.Conn, messages int, refused *int) (taken int) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	say := func(s string) { _, _ = io.WriteString(conn, s+"\r\n") } // a lost client shows when it is read from
	say("220 ready")
	for inText := false; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return taken
		}
		switch line = strings.TrimSpace(line); {
		case inText:
			if line == "." {
				inText = false
				taken++
				say("250 taken")
			}
		case strings.HasPrefix(line, "EHLO"):
			say("250-here\r\n250 PIPELINING")
		case strings.HasPrefix(line, "MAIL") && taken == messages:
			*refused++
			say("421 4.7.0 enough messages on this connection")
			return taken
		case line == "DATA":
			inText = true
			say("354 go")
		case line == "QUIT":
			say("221 bye")
			return taken
		default:
			say("250 ok")
		}
	}
}

// A host that closes after so many messages twice is not asked for more on one
// connection.
// Covers D3.
func TestConnectionsEndBeforeTheyAreClosed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	refused, done := 0, make(chan int, 16)
	go takesOnly(l, 5, &refused, done)
	eg := &mail.Egress{Hop: mail.Hop{Kind: mail.HopSMTP, Network: "tcp", Address: l.Addr().String()}}
	tr := outbound.New(outbound.Options{Timeouts: quick})
	for i := range 4 {
		var list []*mail.Delivery
		for n := range 8 {
			list = append(list, delivery(&hello, "s@x", fmt.Sprintf("a%d@y", n)))
		}
		if err := tr.Serve(t.Context(), nil, eg, newSource(t, list...)); err != nil {
			t.Fatal(err)
		}
		if taken := <-done; taken != 5 {
			t.Errorf("connection %d carried %d messages", i, taken)
		}
		if want := min(i+1, 2); refused != want {
			t.Errorf("%d refusals after connection %d, want %d", refused, i, want)
		}
	}
}
