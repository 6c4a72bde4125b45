package smtpd_test

import (
	"fmt"
	"strings"
	"testing"

	"postrider/relay/smtpd"
)

// By LMTP every recipient is answered, however many are refused after the text, since
// a client that misses a reply sends the message again to those who have it.
func TestEveryRecipientIsAnswered(t *testing.T) {
	const full = 120 // more than a session may have errors
	r := &recorder{}
	inBubble(t, &smtpd.Options{Handler: r, LMTP: true}, func(t *testing.T, p *pipes) {
		pieces := []string{"LHLO a\r\n", "MAIL FROM:<a@b.example>\r\n"}
		for i := range full {
			pieces = append(pieces, fmt.Sprintf("RCPT TO:<full%d@here.example>\r\n", i))
		}
		pieces = append(pieces, "RCPT TO:<last@here.example>\r\n", "DATA\r\n", "Subject: x\r\n\r\n.\r\n", "NOOP\r\n")
		lines := converse(p, pieces...)
		refused, after := 0, ""
		for _, line := range lines {
			if strings.HasPrefix(line, "552 5.2.2 ") {
				refused++
				continue
			}
			if refused > 0 {
				after += line[:4]
			}
		}
		if refused != full || !strings.HasPrefix(after, "250 250 ") {
			t.Errorf("%d of %d refused, then %q", refused, full, after)
		}
	})
}
