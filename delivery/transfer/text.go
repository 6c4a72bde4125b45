package transfer

import (
	"bytes"
	"io"
)

// readText reads a text to its end and gives it CRLF lines: a bare LF becomes
// CRLF, and what was CRLF stays as it was. buf is used for it when it is large
// enough.
func readText(r io.Reader, buf []byte) ([]byte, error) {
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if len(buf) > MaxTextBytes {
			return buf, ErrTooLong
		}
		if err == io.EOF {
			return toCRLF(buf), nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// toCRLF gives text CRLF lines; it uses text's memory.
func toCRLF(text []byte) []byte {
	bare := bytes.Count(text, []byte{'\n'}) - bytes.Count(text, []byte("\r\n"))
	if bare == 0 {
		return text
	}
	n := len(text)
	text = append(text, make([]byte, bare)...)
	for i, j := n-1, len(text)-1; bare > 0; i-- { // from the end, so that nothing is overwritten unread
		text[j] = text[i]
		j--
		if text[i] == '\n' && (i == 0 || text[i-1] != '\r') {
			text[j] = '\r'
			j--
			bare--
		}
	}
	return text
}

// LFWriter writes CRLF lines as LF lines. A CR that no LF follows stays; Close
// writes one at the very end.
type LFWriter struct {
	W  io.Writer
	cr bool // the last octet was a CR, which is not yet written
}

// Write takes the next piece.
func (w *LFWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if w.cr {
			w.cr = false
			if p[0] != '\n' {
				if _, err := w.W.Write([]byte{'\r'}); err != nil {
					return 0, err
				}
			}
		}
		i := bytes.IndexByte(p, '\r')
		piece, rest := p, []byte(nil)
		if i >= 0 {
			piece, rest, w.cr = p[:i], p[i+1:], true
		}
		if len(piece) > 0 {
			if _, err := w.W.Write(piece); err != nil {
				return 0, err
			}
		}
		p = rest
	}
	return n, nil
}

// Close ends the text; it does not close W.
func (w *LFWriter) Close() error {
	if !w.cr {
		return nil
	}
	w.cr = false
	_, err := w.W.Write([]byte{'\r'})
	return err
}
