package message_test

import (
	"strings"
	"testing"

	"postrider/internal/message"
)

// structureOf reads text in pieces of step octets; 0 is all at once.
func structureOf(s *message.Structurer, text string, step int) *message.Structure {
	var out message.Structure
	s.Reset()
	for rest := []byte(text); len(rest) > 0; {
		n := len(rest)
		if step > 0 {
			n = min(n, step)
		}
		s.Write(rest[:n])
		rest = rest[n:]
	}
	s.Finish(&out)
	return &out
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

const mixed = `From: "Smith, J." <js@a.example>
To: b@b.example, Group: c@c.example, "d \"e\"" <d@d.example>;, e@e.example (Eve)
Subject: =?utf-8?q?caf=C3=A9?=
 more
Date: Mon, 1 Jan 2024 00:00:00 +0000 (comment)
Message-ID: <1@a.example>
In-Reply-To: <0@a.example>
References: <x@a.example>
	<0@a.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b 1"

preamble
--b 1
Content-Type: TEXT/Plain; charset=utf-8
Content-Transfer-Encoding: Quoted-Printable

caf=C3=A9 and
more=
 text
--b 1  
Content-Type: message/rfc822
Content-Disposition: attachment

Subject: inner
From: i@i.example
Content-Type: multipart/alternative; boundary=in

--in

plain
--in
Content-Type: text/html

<p>html
--in--
--b 1
Content-Type: application/pdf; name*0*=utf-8''a%20; name*1=b
Content-Transfer-Encoding: BASE64
Content-Disposition: attachment; filename="a \"b\".pdf"
Content-ID: <pdf@a>
Content-Language: en, de
Content-MD5: abc
Content-Location: http://a/

AAAA
--b 1--
epilogue
`

func TestStructure(t *testing.T) {
	var s message.Structurer
	got := structureOf(&s, crlf(mixed), 0)
	from := `(("Smith, J." NIL "js" "a.example"))`
	envelope := `("Mon, 1 Jan 2024 00:00:00 +0000 (comment)" "=?utf-8?q?caf=C3=A9?= more" ` + from + ` ` + from + ` ` + from +
		` ((NIL NIL "b" "b.example")(NIL NIL "Group" NIL)(NIL NIL "c" "c.example")("d \"e\"" NIL "d" "d.example")(NIL NIL NIL NIL)("Eve" NIL "e" "e.example"))` +
		` NIL NIL "<0@a.example>" "<1@a.example>")`
	inner := `((NIL NIL "i" "i.example"))`
	innerEnvelope := `(NIL "inner" ` + inner + ` ` + inner + ` ` + inner + ` NIL NIL NIL NIL NIL)`
	body := `(("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 27 2)` +
		`("message" "rfc822" NIL NIL NIL "7bit" 150 ` + innerEnvelope + ` (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0)("text" "html" NIL NIL NIL "7bit" 7 0) "alternative") 11)` +
		`("application" "pdf" ("name*0*" "utf-8''a%20" "name*1" "b") "<pdf@a>" NIL "base64" 4) "mixed")`
	structure := `(("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 27 2 NIL NIL NIL NIL)` +
		`("message" "rfc822" NIL NIL NIL "7bit" 150 ` + innerEnvelope + ` (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0 NIL NIL NIL NIL)("text" "html" NIL NIL NIL "7bit" 7 0 NIL NIL NIL NIL) "alternative" ("boundary" "in") NIL NIL NIL) 11 NIL ("attachment" NIL) NIL NIL)` +
		`("application" "pdf" ("name*0*" "utf-8''a%20" "name*1" "b") "<pdf@a>" NIL "base64" 4 "abc" ("attachment" ("filename" "a \"b\".pdf")) ("en" "de") "http://a/") "mixed" ("boundary" "b 1") NIL NIL NIL)`
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"ENVELOPE", got.Envelope, envelope},
		{"BODY", got.Body, body},
		{"BODYSTRUCTURE", got.BodyStructure, structure},
		{"preview", got.Preview, "café and more text"},
		{"message id", got.MessageID, "<1@a.example>"},
		{"in reply to", got.InReplyTo, "<0@a.example>"},
		{"references", got.References, "<x@a.example> <0@a.example>"},
	} {
		if string(c.got) != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.name, c.got, c.want)
		}
	}
	if int(got.HeaderBytes) != strings.Index(crlf(mixed), "\r\n\r\n")+4 || int(got.SizeBytes) != len(crlf(mixed)) {
		t.Errorf("%d octets of header, %d in all", got.HeaderBytes, got.SizeBytes)
	}
}

// Sections name parts as RFC 3501 section 6.4.5 numbers them.
func TestSections(t *testing.T) {
	var s message.Structurer
	text := crlf(mixed)
	got := structureOf(&s, text, 0)
	for _, c := range []struct {
		numbers []uint32
		want    string // body; "-" when there is none
	}{
		{[]uint32{1}, "caf=C3=A9 and\r\nmore=\r\n text"},
		{[]uint32{2, 1}, "plain"},
		{[]uint32{2, 2}, "<p>html"},
		{[]uint32{3}, "AAAA"},
		{[]uint32{4}, "-"},
		{[]uint32{1, 1}, "-"},
		{[]uint32{0}, "-"},
		{[]uint32{2, 3}, "-"},
		{[]uint32{4294967295}, "-"},
	} {
		body := "-"
		if i := got.Find(c.numbers); i >= 0 {
			body = text[got.Parts[i].BodyOff:got.Parts[i].BodyEnd]
		}
		if body != c.want {
			t.Errorf("%v: %q, want %q", c.numbers, body, c.want)
		}
	}
	two := []uint32{2}
	i := got.Message(got.Find(two), two)
	if i < 0 {
		t.Fatal("no message in part 2")
	}
	if p := got.Parts[i]; !strings.HasPrefix(text[p.HeaderOff:p.BodyOff], "Subject: inner\r\n") {
		t.Errorf("BODY[2.HEADER] is %q", text[p.HeaderOff:p.BodyOff])
	}
	if p := got.Parts[got.Find([]uint32{3})]; !strings.HasPrefix(text[p.HeaderOff:p.BodyOff], "Content-Type: application/pdf") {
		t.Errorf("BODY[3.MIME] is %q", text[p.HeaderOff:p.BodyOff])
	}
	if got.Message(got.Find(nil), nil) != 0 || got.Message(got.Find([]uint32{1}), []uint32{1}) != -1 {
		t.Error("the whole message is one, a text is none")
	}
	simple := structureOf(&s, "Subject: x\r\n\r\nbody", 0)
	if simple.Find([]uint32{1}) != 0 || simple.Find([]uint32{2}) != -1 || simple.Find([]uint32{1, 1}) != -1 {
		t.Error("a simple message has one part, itself")
	}
	nested := structureOf(&s, "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody", 0)
	if nested.Find([]uint32{1}) != 0 || nested.Find([]uint32{1, 1}) != 1 || nested.Find([]uint32{1, 2}) != -1 {
		t.Error("a message in a message is part 1, its text 1.1")
	}
}
