package dialogue

import (
	"bufio"
	"compress/flate"
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// conn is a connection of a transcript.
type conn struct {
	name    string
	nc      net.Conn      // the top of the layers, for writing and deadlines
	low     *bufio.Reader // of what comes from the network
	in      *bufio.Reader // of what the server said
	deflate *flate.Writer
	pending strings.Builder // client octets for the next write
	old     []expected      // in rewriting: what stood in the transcript
}

// layered is a connection of which something may have been read ahead.
type layered struct {
	net.Conn
	in *bufio.Reader
}

func (l layered) Read(p []byte) (int, error) { return l.in.Read(p) }

func newConn(name string, nc net.Conn) *conn {
	c := &conn{name: name, low: bufio.NewReader(nc)}
	c.nc, c.in = layered{nc, c.low}, c.low
	return c
}

func (c *conn) handshake() error {
	t := tls.Client(c.nc, &tls.Config{InsecureSkipVerify: true})
	if err := t.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	c.nc, c.in = t, bufio.NewReader(t)
	return t.Handshake()
}

func (c *conn) compress() (err error) {
	c.in = bufio.NewReaderSize(flate.NewReader(c.in), 1<<16)
	c.deflate, err = flate.NewWriter(c.nc, flate.DefaultCompression)
	return err
}

// write sends what waits.
func (c *conn) write() error {
	text := c.pending.String()
	c.pending.Reset()
	if text == "" {
		return nil
	}
	if err := c.nc.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if c.deflate == nil {
		_, err := io.WriteString(c.nc, text)
		return err
	}
	if _, err := io.WriteString(c.deflate, text); err != nil {
		return err
	}
	return c.deflate.Flush()
}

// read returns the next line as a transcript writes it, without its end.
func (c *conn) read(patience time.Duration) (line, raw string, err error) {
	if err := c.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", "", err
	}
	raw, err = c.in.ReadString('\n')
	if err != nil {
		return escape(raw), raw, err
	}
	if whole, ok := strings.CutSuffix(raw, "\r\n"); ok {
		raw = whole
		return escape(whole), raw, nil
	}
	raw = strings.TrimSuffix(raw, "\n")
	return escape(raw) + `\x0a`, raw, nil
}

// silent reports that nothing came for a while.
func (c *conn) silent() bool {
	if c.in.Buffered() > 0 {
		return false
	}
	if c.nc.SetReadDeadline(time.Now().Add(quiet)) != nil {
		return true
	}
	_, err := c.low.Peek(1)
	return err != nil
}

// escape writes what is not text as \xNN.
func escape(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\t', r >= ' ' && r != 0x7f && strconv.IsPrint(r) && r != '\ufffd':
			b.WriteRune(r)
		case r == '\ufffd': // or an octet that is not UTF-8
			b.WriteString(`\x` + hex(s[i]))
		default:
			for _, octet := range []byte(string(r)) {
				b.WriteString(`\x` + hex(octet))
			}
		}
	}
	return b.String()
}

func hex(octet byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[octet>>4], digits[octet&15]})
}
