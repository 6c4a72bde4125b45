package smtp

import (
	"strconv"

	"postrider/internal/mail"
)

// sentReplyLine is the longest reply line in octets, its CRLF included (RFC 5321
// section 4.5.3.1.5). Longer texts are cut.
const sentReplyLine = 512

// AppendReply appends s as one reply line with its CRLF. A code without an
// enhanced one gets the general one of its class (RFC 2034 section 4), except
// 3xx, for which there is none. Octets that could end or forge a line become
// spaces.
func AppendReply(dst []byte, s mail.Status) []byte {
	start := len(dst)
	dst = strconv.AppendUint(dst, uint64(s.Code), 10)
	dst = append(dst, ' ')
	class := s.Code / 100
	switch {
	case s.Enhanced.Class != 0:
		dst = append(s.Enhanced.AppendText(dst), ' ')
	case class == 2 || class == 4 || class == 5:
		dst = append(dst, byte('0'+class), '.', '0', '.', '0', ' ')
	}
	text := s.Text
	if room := sentReplyLine - 2 - (len(dst) - start); len(text) > room {
		text = text[:room]
	}
	for _, c := range text {
		if c < ' ' || c == 0x7f {
			c = ' '
		}
		dst = append(dst, c)
	}
	if len(text) == 0 {
		dst = append(dst, "Ok"...)
	}
	return append(dst, '\r', '\n')
}
