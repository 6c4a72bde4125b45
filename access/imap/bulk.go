package imap

import (
	"bytes"
	"strconv"

	"postrider/access/imapwire"
	"postrider/internal/wire"
)

// bulk gathers a long answer in the connection's output buffer. It leaves when the
// buffer is full; nothing of it is held in memory beyond that.
type bulk struct {
	w      *wire.Conn
	b      []byte // of the buffer, with room behind it
	writes int    // how often the buffer was full
	clean  bool   // what bytes appends must have no NUL
}

// begin readies o; end hands what was gathered to the connection.
func (o *bulk) begin(w *wire.Conn) { *o = bulk{w: w, b: w.BulkRoom(1)} }

func (o *bulk) end() {
	o.w.Add(o.b)
	o.b = nil
}

// need sees to it that n octets, at most wire.BulkRoomSize, can be appended to b.
func (o *bulk) need(n int) {
	if cap(o.b)-len(o.b) >= n {
		return
	}
	o.w.Add(o.b)
	o.b = o.w.BulkRoom(n)
	o.writes++
}

// bytes appends any number of octets.
func (o *bulk) bytes(p []byte) {
	for {
		at := len(o.b)
		n := copy(o.b[at:cap(o.b)], p)
		if o.b = o.b[:at+n]; o.clean {
			o.cleanFrom(at)
		}
		if p = p[n:]; len(p) == 0 {
			return
		}
		o.need(min(len(p), wire.BulkRoomSize))
	}
}

// cleanFrom puts 0x80 in the place of each NUL from at on: only a literal8 may hold one
// (RFC 9051 section 9: CHAR8), and a text that came as one is fetched as others are.
func (o *bulk) cleanFrom(at int) {
	for p := o.b[at:]; ; {
		i := bytes.IndexByte(p, 0)
		if i < 0 {
			return
		}
		p[i] = 0x80
		p = p[i+1:]
	}
}

func (o *bulk) text(s string) {
	o.need(len(s))
	o.b = append(o.b, s...)
}

// number appends a name and a number behind it.
func (o *bulk) number(name string, n uint64) {
	o.need(len(name) + 20)
	o.b = strconv.AppendUint(append(o.b, name...), n, 10)
}

// literal appends what stands before so many octets.
func (o *bulk) literal(n int64) {
	o.need(32)
	o.b = imapwire.AppendLiteralHeader(o.b, n)
}

// Write implements io.Writer. It fails once the client is gone.
func (o *bulk) Write(p []byte) (int, error) {
	o.bytes(p)
	if err := o.w.Failed(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// mark is a place in what was gathered that can be gone back to while the buffer was
// not full.
type mark struct{ at, writes int }

func (o *bulk) mark() mark { return mark{len(o.b), o.writes} }

// back takes back what was gathered since m, if it has not left.
func (o *bulk) back(m mark) bool {
	if m.writes != o.writes {
		return false
	}
	o.b = o.b[:m.at]
	return true
}
