package delivery

import (
	"bytes"
	"io"

	"postrider/internal/mail"
)

// header is what the agent needs to know of a message's header.
type header struct {
	cuts   []span // Return-Path fields
	traces []span // values of Delivered-To fields that tell of a loop when they match
	text   []byte // that the spans are of
	own    []byte // memory for a header that is read from a file
}

// span is a part of the text.
type span struct{ from, to int64 }

const (
	mostHeader = 1 << 20 // of a header that is looked at
	firstRead  = 64 << 10
	// mostTraces bounds the Delivered-To fields that count.
	mostTraces = 100
	// loopHops is how many Received fields stand above a Delivered-To that tells of a
	// loop. One is ours; a system that hands over mail by LMTP may write a Delivered-To
	// below it, of the delivery that is being made.
	loopHops = 2
)

func (h *header) reset() {
	if cap(h.own) > mostKept {
		h.own = nil
	}
	*h = header{cuts: h.cuts[:0], traces: h.traces[:0], own: h.own[:0]}
}

// read reads the header of a text.
func (h *header) read(body mail.Body) error {
	if text := body.Bytes(); text != nil || body.Size() == 0 {
		h.scan(text)
		return nil
	}
	for n := min(firstRead, body.Size()); ; n = min(2*n, body.Size()) {
		if int64(cap(h.own)) < n {
			h.own = make([]byte, n)
		}
		h.own = h.own[:n]
		if k, err := body.ReadAt(h.own, 0); err != nil && (err != io.EOF || int64(k) < n) {
			return err
		}
		h.cuts, h.traces = h.cuts[:0], h.traces[:0]
		if h.scan(h.own) || n == body.Size() || n >= mostHeader {
			return nil
		}
	}
}

// scan finds the fields in a text; false says that the header goes on behind it.
func (h *header) scan(text []byte) (whole bool) {
	h.text = text
	received := 0
	for at := 0; at < len(text); {
		if c := text[at]; c == '\r' || c == '\n' {
			return true
		}
		end := fieldEnd(text, at)
		if end < 0 {
			return false
		}
		field := text[at:end]
		if bytes.IndexByte(field, ':') <= 0 {
			return true // no field: the header has ended
		}
		switch field[0] | 0x20 {
		case 'r':
			if _, ok := valueOf(field, "received"); ok {
				received++
			} else if _, ok := valueOf(field, "return-path"); ok {
				h.cuts = append(h.cuts, span{int64(at), int64(end)})
			}
		case 'd':
			if v, ok := valueOf(field, "delivered-to"); ok && received >= loopHops && len(h.traces) < mostTraces {
				h.traces = append(h.traces, span{int64(at + v), int64(end)})
			}
		}
		at = end
	}
	return true
}

// fieldEnd returns the end of the field at a place, the lines that continue it
// included; below 0 when it may go on behind the text.
func fieldEnd(text []byte, at int) int {
	for {
		n := bytes.IndexByte(text[at:], '\n')
		if n < 0 {
			return -1
		}
		at += n + 1
		if at >= len(text) || text[at] != ' ' && text[at] != '\t' {
			return at
		}
	}
}

// valueOf returns where the value of a field begins if it has the name.
func valueOf(field []byte, name string) (int, bool) {
	if len(field) <= len(name) || !bytes.EqualFold(field[:len(name)], []byte(name)) {
		return 0, false
	}
	for i := len(name); i < len(field); i++ {
		switch field[i] {
		case ':':
			return i + 1, true
		case ' ', '\t':
		default:
			return 0, false
		}
	}
	return 0, false
}

// loops reports an address that the message was delivered to before.
func (h *header) loops(address []byte) bool {
	for _, s := range h.traces {
		value := bytes.TrimSpace(h.text[s.from:s.to])
		value = bytes.TrimSuffix(bytes.TrimPrefix(value, []byte("<")), []byte(">"))
		if bytes.EqualFold(value, address) {
			return true
		}
	}
	return false
}
