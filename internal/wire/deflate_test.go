package wire_test

import (
	"bytes"
	"compress/flate"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"postrider/internal/wire"
)

// packed compresses text with a flush, as a client does.
func packed(t *testing.T, w *flate.Writer, out *bytes.Buffer, text string) []byte {
	t.Helper()
	_, e1 := io.WriteString(w, text)
	if err := errors.Join(e1, w.Flush()); err != nil {
		t.Fatal(err)
	}
	b := bytes.Clone(out.Bytes())
	out.Reset()
	return b
}

// A connection that was compressed carries what it carried before, in clear and by TLS,
// whatever the pieces, also when it parks between them; what was buffered when it was
// compressed counts as compressed.
//
// Covers HI5.
func TestCompress(t *testing.T) {
	for _, protected := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "tls"}[protected], func(t *testing.T) {
			parked, ended := make(chan bool, 1000), make(chan error, 1)
			l := listen(t)
			serve(t, wire.Options{Handle: func(c *wire.Conn) {
				if protected {
					if err := c.StartTLS(certificate(t), time.Minute); err != nil {
						t.Error(err)
					}
				}
				c.ReadBy(time.Now().Add(time.Minute), time.Minute)
				for len(c.Buffered()) < len("COMPRESS\r\n")+1 {
					if err := c.Fill(); err != nil {
						t.Error(err)
						return
					}
				}
				c.Line()
				if err := c.Compress(); err != nil || !c.Compressed() || protected != (c.TLS() != nil) {
					t.Error(err)
				}
				(&parker{c: c, parked: parked, ended: ended, after: time.Hour}).Resume()
			}}, l)
			nc, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = nc.Close() }()
			if protected {
				nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
			}
			var out bytes.Buffer
			w, err := flate.NewWriter(&out, flate.DefaultCompression)
			if err != nil {
				t.Fatal(err)
			}
			r := flate.NewReader(nc)
			send := append([]byte("COMPRESS\r\n"), packed(t, w, &out, "first")...)
			for i, text := range []string{"first", "x", strings.Repeat("all the same ", 2000)} {
				if i > 0 {
					<-parked
					send = packed(t, w, &out, text)
				}
				if _, err := nc.Write(send); err != nil {
					t.Fatal(err)
				}
				b := make([]byte, len(text))
				if _, err := io.ReadFull(r, b); err != nil || string(b) != text {
					t.Fatalf("%.40q, %v", b, err)
				}
			}
			if err := nc.Close(); err != nil {
				t.Error(err)
			}
			if err := <-ended; err == nil {
				t.Error("no end")
			}
		})
	}
}

// Compressed data that is none ends the session.
func TestCompressBroken(t *testing.T) {
	ended := make(chan error, 1)
	l := listen(t)
	serve(t, wire.Options{Handle: func(c *wire.Conn) {
		c.ReadBy(time.Now().Add(time.Minute), time.Minute)
		if err := c.Compress(); err != nil {
			t.Error(err)
		}
		ended <- c.Fill()
	}}, l)
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	if _, err := nc.Write([]byte{0x07}); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
