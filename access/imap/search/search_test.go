package search_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"postrider/access/imap/search"
	"postrider/access/imapwire"
	"postrider/delivery/mailbox"
)

const crlf = "\r\n"

func lines(l ...string) string { return strings.Join(l, crlf) + crlf }

// someMail are letters that the keys are tried on.
func someMail() []letter {
	day := func(d int) time.Time { return time.Date(2026, 11, d, 23, 30, 0, 0, time.UTC) }
	return []letter{
		0: {flags: mailbox.FlagSeen | mailbox.FlagAnswered, received: day(1), text: lines(
			"From: Fred Foobar <foobar@Blurdybloop.example>",
			"Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)",
			"Subject: afternoon meeting",
			"To: mooch@owatagu.siam.edu.example",
			"Message-Id: <B27397-0100000@Blurdybloop.example>",
			"", "Hello Joe, do you think we can meet at 3:30 tomorrow?")},
		2 - 1: {flags: mailbox.FlagFlagged, keywords: []string{"$Forwarded", "Work"}, received: day(10), prefix: "Delivered-To: ann@example.com\r\n", text: lines(
			"From: =?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>",
			"To: =?utf-8?B?w4R", // cut: no encoded word
			" =?utf-8?B?w4RyZ2Vy?= <a@example>",
			"CC: =?ISO-8859-1?Q?Andr=E9?= Pirard <PIRARD@vm1.ulg.ac.be>",
			"Subject: =?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=",
			" =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
			"Date: 11 Nov 2026 01:00 +0200",
			"Content-Type: text/plain; charset=iso-8859-15", "Content-Transfer-Encoding: quoted-printable",
			"", "Caf=E9 au lait costs 3 =A4, STRASSE or stra=DFe, soft=", "ly broken")},
		3 - 1: {flags: mailbox.FlagDeleted | mailbox.FlagSeen | mailbox.FlagDraft, received: day(20), text: lines(
			"From: b@example", "Bcc: hidden@example", "X-Empty:", "Subject: folded", "\tsubject",
			"Content-Type: multipart/mixed; boundary=x", "",
			"preamble", "--x", "Content-Type: text/plain; charset=koi8-r", "Content-Transfer-Encoding: base64", "",
			base64.StdEncoding.EncodeToString([]byte("\xf0\xd2\xc9\xd7\xc5\xd4")), // Привет
			"--x", "Content-Type: application/pdf; name=secret.pdf", "Content-Transfer-Encoding: base64", "", "SGlkZGVu",
			"--x", "Content-Type: message/rfc822", "", "Subject: =?utf-8?q?inner_=C3=9C?=", "", "of the inner one", "--x--", "epilogue")},
		4 - 1: {received: day(28), text: "Date: nonsense" + crlf + crlf + strings.Repeat("x", 40000) + "Cafe\u0301 needle across pieces" + crlf},
	}
}

func TestKeys(t *testing.T) {
	w := newWorld(t)
	w.file(t, someMail()...)
	v := w.view(t)
	id := string(emailID(t, v, 2).Append(nil))
	for _, test := range []struct{ keys, want string }{
		{"ALL", "1 2 3 4"}, {"NOT ALL", ""}, {"1,3:4", "1 3 4"}, {"*", "4"}, {"7:*", "4"}, {"5:9", ""}, {"UID 2:*", "2 3 4"}, {"NOT UID 2", "1 3 4"}, {"$", "2 4"}, {"UID $ 1:2", "2"},
		{"ANSWERED", "1"}, {"UNANSWERED", "2 3 4"}, {"DELETED", "3"}, {"UNDELETED", "1 2 4"}, {"DRAFT", "3"}, {"UNDRAFT", "1 2 4"},
		{"FLAGGED", "2"}, {"UNFLAGGED", "1 3 4"}, {"SEEN", "1 3"}, {"UNSEEN", "2 4"}, {"seen unseen", ""}, {"unseen seen", ""}, {"SEEN UNFLAGGED ALL", "1 3"}, {"UNSEEN NOT ALL", ""}, {"NOT SEEN UNSEEN", "2 4"},
		{"RECENT", "3 4"}, {"OLD", "1 2"}, {"NEW", "4"}, {"NOT NEW", "1 2 3"}, {"NOT OLD", "3 4"},
		{"KEYWORD work", "2"}, {"UNKEYWORD $Forwarded", "1 3 4"}, {"KEYWORD none", ""}, {"UNKEYWORD none", "1 2 3 4"},
		{"SINCE 10-Nov-2026", "2 3 4"}, {"BEFORE 10-Nov-2026", "1"}, {`ON "10-Nov-2026"`, "2"}, {"NOT ON 10-Nov-2026", "1 3 4"},
		{"SENTON 7-Feb-1994", "1"}, {"SENTBEFORE 1-Jan-2000", "1"}, {"SENTSINCE 8-Feb-1994", "2"}, {"SENTON 11-Nov-2026", "2"},
		{"SAVEDON 28-Nov-2026", "1 2 3 4"}, {"SAVEDBEFORE 28-Nov-2026", ""}, {"SAVEDSINCE 1-Nov-2026 SAVEDATESUPPORTED", "1 2 3 4"},
		{"YOUNGER 86400", "4"}, {"OLDER 86400", "1 2 3"}, {"OLDER 1 YOUNGER 1000000", "3"},
		{"LARGER 40000", "4"}, {"SMALLER 40000", "1 2 3"},
		{"EMAILID " + id, "2"}, {"NOT EMAILID " + id, "1 3 4"}, {"THREADID x", ""},
		{"FROM fred", "1"}, {`FROM "JØRN"`, "2"}, {"FROM jorn", ""}, {"FROM blurdybloop.EXAMPLE", "1"}, {"CC \"ANDRÉ\"", "2"}, {"CC \"andre\u0301\"", "2"}, {"CC andre", "2"},
		{"BCC hidden", "3"}, {"TO \"ärger\"", "2"}, {"TO mooch", "1"}, {"CC nobody", ""},
		{`SUBJECT "can read this you understand"`, "2"}, {`SUBJECT "folded` + "\t" + `subject"`, "3"}, {"SUBJECT MEETING", "1"}, {`SUBJECT ""`, "1 2 3"},
		{`HEADER message-id ""`, "1"}, {"HEADER Message-ID b27397", "1"}, {`HEADER Delivered-To ANN@`, "2"}, {`HEADER X-Empty ""`, "3"}, {"HEADER X-Empty a", ""}, {`HEADER X ""`, ""},
		{"BODY tomorrow", "1"}, {"BODY joe TEXT fred", "1"}, {"BODY fred", ""}, {"BODY \"café\"", "2 4"}, {"BODY \"straße\"", "2"}, {"BODY strasse", "2"}, {"BODY \"€\"", "2"}, {`BODY "softly broken"`, "2"},
		{"BODY \"ПРИВЕТ\"", "3"}, {"BODY hidden", ""}, {"BODY preamble", ""}, {"BODY secret.pdf", "3"}, {`BODY "subject: INNER ü"`, "3"}, {`BODY "the inner"`, "3"}, {`BODY "needle across"`, "4"},
		{"TEXT hidden", "3"}, {"TEXT delivered-to", "2"}, {`TEXT ""`, "1 2 3 4"}, {"NOT TEXT e", ""}, {"OR BODY joe BODY \"привет\"", "1 3"},
		{"OR SEEN FLAGGED", "1 2 3"}, {"OR 1 OR 2 4", "1 2 4"}, {"OR OR 1 2 4", "1 2 4"}, {"NOT OR 1 OR 2 4", "3"}, {"NOT NOT 1", "1"}, {"OR (1 2) (3 SEEN)", "3"}, {"NOT (1 SEEN)", "2 3 4"},
		{"UNSEEN OR FROM fred OR BODY needle SUBJECT folded", "4"}, {"(2:3 (NOT DELETED))", "2"}, {"OR (OR 1 2) NOT (OR 1 4)", "1 2 3"}, {"OR (SEEN) (3)", "1 3"},
		{"MODSEQ 1", "1 2 3 4"}, {`MODSEQ "/flags/\\draft" all 1`, "1 2 3 4"}, {"MODSEQ 9999", ""},
	} {
		for _, bound := range []search.Bound{{}, {Limit: 1}, {Limit: 2, Last: true}} {
			scope := search.Scope{View: v, Recent: []mailbox.Range{{From: 3, To: 9}}, Saved: []mailbox.Range{{From: 2, To: 2}, {From: 4, To: 9}}, Now: now}
			var f search.Found
			if err := parse(t, test.keys).Run(&scope, bound, &f); err != nil {
				t.Errorf("%s: %v", test.keys, err)
			}
			want := strings.Fields(test.want)
			if n := len(want); bound.Limit > 0 && n > bound.Limit {
				if bound.Last {
					want = want[n-bound.Limit:]
				} else {
					want = want[:bound.Limit]
				}
			}
			if got := found(&f); got != strings.Join(want, " ") || f.Count != len(want) {
				t.Errorf("%s, %v: %s (%d), want %s", test.keys, bound, got, f.Count, want)
			}
		}
	}
}

func emailID(t *testing.T, v *mailbox.View, uid uint32) (id mailbox.EmailID) {
	t.Helper()
	if err := v.Scan(uid, uid, func(m *mailbox.Meta) bool { id = m.EmailID; return true }); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestParse gives what a stranger may send to the parser.
//
// Covers HI2.
func TestParse(t *testing.T) {
	for _, test := range []struct {
		keys string
		want error
	}{
		{"", search.ErrSyntax}, {"ALL ", search.ErrSyntax}, {" ALL", search.ErrSyntax}, {"ALL  ALL", search.ErrSyntax}, {"()", search.ErrSyntax}, {"(ALL", search.ErrSyntax}, {"ALL)", search.ErrSyntax},
		{"OR ALL", search.ErrSyntax}, {"OR", search.ErrSyntax}, {"NOT", search.ErrSyntax}, {"NOT ", search.ErrSyntax}, {"OR ALL ALL ALL", nil}, {"(OR ALL ALL) ALL", nil}, {"(OR ALL)", search.ErrSyntax},
		{"SUBJECT", search.ErrSyntax}, {"HEADER a", search.ErrSyntax}, {`HEADER "" a`, search.ErrSyntax}, {"SINCE 1-Foo-2026", search.ErrSyntax}, {"0", search.ErrSyntax}, {"OLDER 0", search.ErrSyntax},
		{"LARGER -1", search.ErrSyntax}, {"MODSEQ x", search.ErrSyntax}, {`MODSEQ "/flags/x" some 1`, search.ErrSyntax}, {"X-UNKNOWN", search.ErrSyntax}, {"4294967296", search.ErrSyntax},
		{strings.Repeat("(", 70000), search.ErrTooDeep},
		{strings.Repeat("NOT ", 100000) + "ALL", nil},
		{strings.Repeat("OR ALL ", 4000) + "ALL", nil},
		{strings.Repeat("OR ", 4000) + "ALL" + strings.Repeat(" ALL", 4000), nil},
		{strings.Repeat("OR NOT ", 4000) + "ALL" + strings.Repeat(" ALL", 4000), search.ErrTooDeep},
		{strings.Repeat("ALL ", 5000) + "ALL", search.ErrTooMany},
		{strings.Repeat("BODY a ", 65) + "ALL", search.ErrTooMany},
	} {
		var d imapwire.Decoder
		d.Reset([]byte(test.keys))
		if err := new(search.Program).Parse(&d, nil); !errors.Is(err, test.want) {
			t.Errorf("%.40q: %v, want %v", test.keys, err, test.want)
		}
	}
}
