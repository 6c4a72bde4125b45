//go:build interop

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/message"
)

// structured are texts whose structure is compared with Dovecot's.
func structured() []string {
	return []string{
		"Subject: plain\nFrom: a@b.example\nTo: \"Q, \\\"x\\\"\" <q@b.example>, (c) d@e.example (Name)\nDate: Mon, 1 Jan 2024 00:00:00 +0000\nMessage-ID: <1@b>\n\ntext\n",
		"Subject: =?utf-8?q?=C3=A4?=\n =?utf-8?q?b?=\nFrom: A B C <a@b.example>\nSender: s@b.example\nReply-To: r@b.example\nCc: undisclosed-recipients:;\nBcc: friends: a@x.example, B <b@x.example>;, c@x.example\nIn-Reply-To: <0@b>\n\n",
		"From: a@b.example\nContent-Type: text/html; charset=utf-8; format=flowed\nContent-Transfer-Encoding: quoted-printable\nContent-Description: what\nContent-ID: <i@b>\nContent-Language: en\nContent-MD5: xyz\nContent-Disposition: inline; filename=a.html\n\n<p>=\nx</p>\n",
		"Content-Type: multipart/mixed; boundary=\"a b\"\n\npreamble\n--a b\n\nfirst\n--a b\nContent-Type: image/png; name=\"x y.png\"\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename*=utf-8''%C3%A4\n\nAAAA\nBBBB\n--a b--\nepilogue\n",
		"Content-Type: multipart/alternative; boundary=a\n\n--a\nContent-Type: multipart/related; boundary=b; type=\"text/html\"\n\n--b\nContent-Type: text/html\n\nh\n--b--\n\n--a\nContent-Type: text/plain\n\nlast, and no end\n",
		"Subject: outer\nContent-Type: multipart/digest; boundary=a\n\n--a\n\nSubject: one\nFrom: x@y.example\n\nbody\nof two\n--a\nContent-Type: message/rfc822\n\nSubject: two\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nz\n--c--\n\n--a--\n",
		"Content-Type: message/rfc822\nContent-Disposition: attachment\n\nFrom: in@b.example\nTo: t@b.example\n\nhello\n",
		"From: <@r1.example,@r2.example:u@h.example>\nTo: nobody\nCc: <>\n\nx",
		"Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\nQUJD\n",
		"From: \"a\\\\b\" <x@y.example>\nSubject: \"quoted\\ subject\"\n\n8bit body \xe4\n",
		"Content-Type: multipart/report; report-type=delivery-status; boundary=r\n\n--r\n\nnotice\n--r\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; a\n\nFinal-Recipient: rfc822; b\n--r\nContent-Type: text/rfc822-headers\n\nSubject: x\n--r--\n",
	}
}

// alike takes off what differs and means the same: Dovecot sends strings with quotes
// in them as literals, and names the charset of texts that do not.
func alike(text string) string {
	for {
		i := strings.Index(text, "{")
		if i < 0 {
			return strings.ReplaceAll(text, `("charset" "us-ascii")`, "NIL")
		}
		var n int
		_, _ = fmt.Sscanf(text[i:], "{%d}", &n) // 0 when it is none
		head, rest, _ := strings.Cut(text[i:], "\r\n")
		if n == 0 || n > len(rest) || !strings.HasSuffix(head, "}") {
			return text
		}
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(rest[:n])
		text = text[:i] + `"` + quoted + `"` + rest[n:]
	}
}

// ENVELOPE, BODY and BODYSTRUCTURE are those of Dovecot, but for the case of words
// that have none.
func TestDovecotStructure(t *testing.T) {
	home := sharedHome(t)
	var s message.Structurer
	var want []string
	for i, text := range structured() {
		path := fmt.Sprintf("%s/Maildir/cur/%d.a.b:2,S", home, i+1)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out message.Structure
		s.Reset()
		_, _ = s.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n"))) // it never fails
		s.Finish(&out)
		want = append(want, fmt.Sprintf("* %d FETCH (ENVELOPE %s BODY %s BODYSTRUCTURE %s)", i+1, out.Envelope, out.Body, out.BodyStructure))
	}
	said := newDovecotHome(t, home).say("imap", "a EXAMINE INBOX", "a FETCH 1:* (ENVELOPE BODY BODYSTRUCTURE)", "a LOGOUT")
	n := 0
	for line := range strings.Lines(alike(said)) {
		if !strings.Contains(line, " FETCH (") {
			continue
		}
		if got := strings.TrimRight(line, "\r\n"); n < len(want) && !strings.EqualFold(got, alike(want[n])) {
			t.Errorf("of %q\nDovecot says %s\nand we       %s", structured()[n], got, alike(want[n]))
		}
		n++
	}
	if n != len(want) {
		t.Errorf("%d of %d messages:\n%s", n, len(want), said)
	}
}
