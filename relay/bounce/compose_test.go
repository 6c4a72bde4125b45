package bounce_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"postrider/internal/mail"
	"postrider/relay/bounce"
)

// A failure is told for all its recipients at once, with every field that there is
// something to say in.
// Covers B1.
func TestFailure(t *testing.T) {
	n := notice(bounce.Failure, "a@example.org", "b@example.net", "c@example.net")
	env(n).EnvelopeID = []byte("QQ+2B314159")
	env(n).Recipients[0].Original = []byte("rfc822;Bob+2Btag@example.net")
	n.Recipients[1].Status = mail.NewStatus(554, 5, 4, 7, "expired, last: 450 4.2.2 full")
	n.Recipients[1].Class, n.Recipients[1].Remote = mail.ClassMailboxFull, ""
	r, c, _ := compose(t, n)
	if c.EightBit || c.SMTPUTF8 || c.Recipients != 2 {
		t.Errorf("%+v", c)
	}
	for name, want := range map[string]string{
		"From": "Mail Delivery System <MAILER-DAEMON@relay.example>", "To": "<a@example.org>", "Auto-Submitted": "auto-replied",
		"In-Reply-To": "<1@example.org>", "References": "<1@example.org>", "Mime-Version": "1.0", "Content-Language": "en",
		"Date": "Tue, 14 Nov 2023 22:23:20 +0000", "Message-Id": "<" + n.ID.String() + "@relay.example>", "Subject": "Not delivered: hello",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if kind, params, err := r.header.ContentType(); err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Errorf("%s %v %v", kind, params, err)
	}
	if got := strings.Join(r.kinds, " "); got != "text/plain message/delivery-status text/rfc822-headers" {
		t.Error(got)
	}
	checkFields(t, r.about, map[string]string{
		"Reporting-MTA": "dns; relay.example", "Original-Envelope-Id": "QQ+314159", "Arrival-Date": "Tue, 14 Nov 2023 22:13:20 +0000",
	})
	checkFields(t, r.persons[0], map[string]string{
		"Original-Recipient": "rfc822; Bob+tag@example.net", "Final-Recipient": "rfc822; b@example.net", "Action": "failed", "Status": "5.1.1",
		"Remote-MTA": "dns; mx.example.net", "Diagnostic-Code": "smtp; 550 5.1.1 no such user", "Last-Attempt-Date": "Tue, 14 Nov 2023 22:23:20 +0000",
	})
	checkFields(t, r.persons[1], map[string]string{
		"Final-Recipient": "rfc822; c@example.net", "Action": "failed", "Status": "5.4.7",
		"Diagnostic-Code": "X-Postrider; expired, last: 450 4.2.2 full", "Last-Attempt-Date": "Tue, 14 Nov 2023 22:23:20 +0000",
	})
	if r.bodies[2] != "From: a@example.org\r\nTo: b@example.net\r\nSubject: hello\r\nMessage-ID: <1@example.org>\r\n" {
		t.Errorf("%q", r.bodies[2])
	}
}

// checkFields wants exactly those fields.
func checkFields(t *testing.T, got map[string][]string, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%v, want %v", got, want)
	}
	for name, value := range want {
		found := false
		for k, v := range got {
			found = found || strings.EqualFold(k, name) && len(v) == 1 && v[0] == value
		}
		if !found {
			t.Errorf("%s: want %q in %v", name, value, got)
		}
	}
}

// The other kinds, and the first digit of Status that belongs to each.
// Covers B2, B3.
func TestKinds(t *testing.T) {
	tests := []struct {
		kind           bounce.Kind
		status         mail.Status
		action, code   string
		until, replied bool
	}{
		{bounce.Failure, mail.NewStatus(421, 4, 7, 1, "never"), "failed", "5.7.1", false, true},
		{bounce.Failure, mail.NewStatus(550, 5, 0, 0, "no"), "failed", "5.0.0", false, true},
		{bounce.Delay, mail.NewStatus(450, 4, 2, 0, "later"), "delayed", "4.2.0", true, true},
		{bounce.Delay, mail.NewStatus(550, 5, 7, 1, "too often"), "delayed", "4.7.1", true, true},
		{bounce.Delay, mail.Status{}, "delayed", "4.0.0", true, false},
		{bounce.Success, mail.NewStatus(250, 2, 1, 5, "ok"), "delivered", "2.1.5", false, false},
		{bounce.Success, mail.Status{}, "delivered", "2.0.0", false, false},
		{bounce.Relayed, mail.NewStatus(250, 2, 6, 0, "queued"), "relayed", "2.6.0", false, false},
		{bounce.Expanded, mail.NewStatus(250, 0, 0, 0, "ok"), "expanded", "2.0.0", false, false},
	}
	for _, tt := range tests {
		n := notice(tt.kind, "a@example.org", "b@example.net")
		n.Recipients[0].Status, n.Recipients[0].RetryUntil = tt.status, n.Now.Add(time.Hour)
		env(n).Return = mail.ReturnFull
		r, c, _ := compose(t, n)
		p := r.persons[0]
		if p.Get("Action") != tt.action || p.Get("Status") != tt.code {
			t.Errorf("%v %v: %v", tt.kind, tt.status, p)
		}
		if (p.Get("Will-Retry-Until") != "") != tt.until || (p.Get("Diagnostic-Code") != "") != tt.replied {
			t.Errorf("%v %v: %v", tt.kind, tt.status, p)
		}
		full := r.kinds[2] == "message/rfc822" // RFC 3461 section 4.3: of failures only
		if full != (tt.kind == bounce.Failure) {
			t.Errorf("%v returns %v", tt.kind, r.kinds)
		}
		var e mail.Envelope
		n.FillEnvelope(&e, c)
		if len(e.Sender) != 0 || len(e.Recipients) != 1 || string(e.Recipients[0].Address) != "a@example.org" ||
			e.Recipients[0].Notify != mail.NotifyNever || e.ID != n.ID || e.ArrivedMicro != n.Now.UnixMicro() {
			t.Errorf("%v: %+v", tt.kind, e)
		}
	}
}

func TestNobodyToTell(t *testing.T) {
	if _, _, err := bounce.Compose(nil, notice(bounce.Failure, "", "b@example.net")); !errors.Is(err, bounce.ErrNullSender) {
		t.Error(err)
	}
	if _, _, err := bounce.Compose(nil, notice(bounce.Failure, "a@example.org")); !errors.Is(err, bounce.ErrNoRecipients) {
		t.Error(err)
	}
	n := notice(bounce.Failure, "a@example.org", "b@example.net")
	n.Random = strings.NewReader("short")
	if _, _, err := bounce.Compose(nil, n); err == nil {
		t.Error("a boundary without randomness")
	}
}

// A boundary that stands in a part is not used.
// Covers HB3.
func TestBoundary(t *testing.T) {
	one, two := bytes.Repeat([]byte{0x11}, 16), bytes.Repeat([]byte{0x22}, 16)
	n := notice(bounce.Failure, "a@example.org", "b@example.net")
	n.Original = original("Subject: x\r\nX: --=_11111111111111111111111111111111--\r\n\r\n")
	n.Random = bytes.NewReader(append(one, two...))
	r, _, raw := compose(t, n)
	if _, params, _ := r.header.ContentType(); params["boundary"] != "=_22222222222222222222222222222222" {
		t.Errorf("%v", params)
	}
	if !bytes.Contains(raw, []byte("X: --=_1111")) {
		t.Error("the header was not returned")
	}
	n.Random = bytes.NewReader(bytes.Repeat(one, 200))
	if _, _, err := bounce.Compose(nil, n); err == nil {
		t.Error("a boundary that is in a part was taken")
	}
}

// With very many recipients some details are left out first, and recipients only
// when there is no other way.
func TestManyRecipients(t *testing.T) {
	var short, long []string
	for range 1000 {
		short = append(short, "recipient-of-usual-length@department.example.net")
		long = append(long, strings.Repeat("l", 64)+"@"+strings.Repeat("d", 60)+"."+strings.Repeat("e", 60)+".example")
	}
	n := notice(bounce.Failure, "a@example.org", short...)
	r, c, _ := compose(t, n)
	if c.Recipients != 1000 || r.persons[999].Get("Final-Recipient") == "" || r.persons[999].Get("Status") != "5.1.1" {
		t.Errorf("%+v", c)
	}
	if !strings.Contains(r.text, "and 970 more") {
		t.Errorf("%.300s", r.text)
	}
	n = notice(bounce.Failure, "a@example.org", long...)
	for i := range n.Recipients {
		env(n).Recipients[i].Original = []byte("rfc822;" + long[i])
	}
	_, c, _ = compose(t, n)
	if c.Recipients < 100 || c.Recipients >= 1000 {
		t.Errorf("%+v", c)
	}
	n.Recipients = n.Recipients[c.Recipients:]
	if _, rest, _ := compose(t, n); rest.Recipients == 0 {
		t.Errorf("%+v", rest)
	}
}
