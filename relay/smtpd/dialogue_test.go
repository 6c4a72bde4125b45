package smtpd_test

import (
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/dialogue"
	"postrider/relay/smtpd"
)

// The transcripts are the proof of most of what a client can say; each names its
// rows. This test plays them all.
//
// Covers R1, R2, R3, R4, R5, R6, R8, R9, R10, R19, R21, HS1, HS3, HS4, HS5, HS9, HS10, HS11, HS13, HS15, HS18, HS19.
func TestDialogues(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) {
			r := &recorder{}
			o := &smtpd.Options{Handler: r, Limits: smtpd.Limits{MessageBytes: 1_000_000}}
			switch name {
			case "lmtp":
				o.LMTP = true
			case "tls", "injected", "requiretls":
				o.TLS = certificate
			case "musttls":
				o.TLS, o.RequireTLS = certificate, true
			}
			_, dial := start(t, o)
			dialogue.Run(t, path, dial())
			for _, m := range r.taken() {
				if strings.Contains(m.from, "smuggled") {
					t.Errorf("a smuggled transaction was accepted: %+v", m)
				}
			}
		})
	}
}

// What a session is handed must be what was said: envelopes, parameters, text.
//
// Covers R4, R5, R6, R8.
func TestHandedOver(t *testing.T) {
	r := &recorder{}
	o := &smtpd.Options{Handler: r, Limits: smtpd.Limits{MessageBytes: 1_000_000}}
	_, dial := start(t, o)
	dialogue.Run(t, "testdata/params.txt", dial())
	dialogue.Run(t, "testdata/chunks.txt", dial())
	m := r.taken()
	if len(m) != 3 {
		t.Fatalf("%d messages", len(m))
	}
	p := m[0]
	if p.from != `"a>b"@client.example` || p.mail.Size != 5 || !p.mail.SMTPUTF8 || p.mail.Body != 2 || p.mail.Return != 2 ||
		string(p.mail.EnvelopeID) != strings.Repeat("a", 97)+"+2B" || p.protocol != "UTF8SMTP" || p.text != "x\xff\r\n" {
		t.Errorf("message %+v", p)
	}
	if strings.Join(p.to, " ") != "b@far.example ü@fär.example PostMaster" ||
		p.rcpt[0].Notify != 14 || string(p.rcpt[0].Original) != "rfc822;B+2Bx@far.example" ||
		p.rcpt[1].Notify != 1 || string(p.rcpt[1].Original) != "utf-8;ü@far.example" || p.rcpt[2].Notify != 0 {
		t.Errorf("recipients %q %+v", p.to, p.rcpt)
	}
	if got := m[1].text; got != ".\r\n.\r\nQUIT\r\n" || m[1].protocol != "ESMTP" {
		t.Errorf("chunks gave %q", got)
	}
	if len(m[2].text) != 1_000_000 {
		t.Errorf("%d octets", len(m[2].text))
	}
	if strings.Count(r.log(), "mail") != strings.Count(r.log(), "commit")+strings.Count(r.log(), "reset") {
		t.Errorf("each transaction must end once: %s", r.log())
	}
}
