package queue

import "postrider/internal/mail"

// Text returns the text written so far, to be read before Commit or Abort; nil when
// it is not in memory, or not whole. Nothing may be written while it is used.
func (d *Draft) Text() mail.Body {
	if d.large || d.err != nil {
		return nil
	}
	d.text = body{size: d.size, crc: d.sum, mem: d.buf.B}
	return &d.text
}
