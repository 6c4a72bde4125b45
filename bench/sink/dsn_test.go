package sink

import (
	"reflect"
	"strings"
	"testing"

	"postrider/bench/ledger"
)

const reportHead = "From: <>\nContent-Type: multipart/report; report-type=delivery-status;\n boundary=\"b\"\n\n--b\nContent-Type: text/plain\n\nFinal-Recipient: rfc822;r9.9@x\nAction: failed\n\n--b\n"

// What reports say, in the forms in which servers write them.
func TestReports(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []report
		run  uint64
	}{
		"postfix": {reportHead + "Content-Description: Delivery report\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.x\nX-Postfix-Queue-ID: ABC\nArrival-Date: Fri\n\n" +
			"Final-Recipient: rfc822; r1.0@x\nOriginal-Recipient: rfc822;r1.0@x\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 no\n  such user\n\n" +
			"Final-Recipient: rfc822; r1.1@x\nAction: delayed\nStatus: 4.4.1\n\n--b\nContent-Type: message/rfc822\n\nX-Bench: 0000000007,1,0,0,0000000000000000,0\nSubject: x\n\nAction: failed\nFinal-Recipient: rfc822;r8.8@x\n--b--\n",
			[]report{{1, 0, true, failed}, {1, 1, true, delayed}}, 7},
		"an alias": {reportHead + "content-type: Message/Delivery-Status; x=y\n\nReporting-MTA: dns; x\n\nOriginal-Recipient: rfc822;\n r2.0@x\nFinal-Recipient: rfc822; someone@y\nAction:\n Failed\n\n--b--",
			[]report{{2, 0, true, failed}}, 0},
		"both duties": {reportHead + "Content-Type: message/global-delivery-status\n\nA: b\n\nFinal-Recipient: utf-8; <r3.1@x>\nOriginal-Recipient: rfc822;r3.0@x\nAction: failed (dead)\n",
			[]report{{3, 0, true, failed}}, 0},
		"nobody's":     {reportHead + "Content-Type: message/delivery-status\n\nA: b\n\nFinal-Recipient: rfc822;someone@x\nAction: failed\n\n--b--", []report{{0, 0, false, failed}}, 0},
		"success":      {reportHead + "Content-Type: message/delivery-status\n\nA: b\n\nFinal-Recipient: rfc822;r4.0@x\nAction: relayed\n\n\nAction: expanded\n", []report{{4, 0, true, otherAction}, {0, 0, false, otherAction}}, 0},
		"no report":    {"Subject: hello\n\nAction: failed\nFinal-Recipient: rfc822;r1.0@x\n", nil, 0},
		"empty":        {"", nil, 0},
		"endless line": {reportHead + "Content-Type: message/delivery-status\n\nA: b\n\nFinal-Recipient: rfc822;r5.0@x\nAction: failed\nX: " + strings.Repeat("x", 100_000) + "\n", []report{{5, 0, true, failed}}, 0},
	} {
		text := strings.ReplaceAll(c.text, "\n", "\r\n")
		for _, step := range []int{1, 7, 1 << 20} {
			var d dsnParser
			for p := text; p != ""; {
				n := min(step, len(p))
				d.add([]byte(p[:n]))
				p = p[n:]
			}
			got := d.finish()
			if len(got) == 0 {
				got = nil
			}
			if !reflect.DeepEqual(got, c.want) || d.run != c.run || d.hasRun != (c.run != 0) {
				t.Errorf("%s in pieces of %d: %+v, run %d", name, step, got, d.run)
			}
			d.reset()
			if got := d.finish(); len(got) != 0 || d.hasRun {
				t.Errorf("%s: %+v is left over", name, got)
			}
		}
	}
}

// A report of another run, or of duties that were never issued, changes nothing.
func TestHeed(t *testing.T) {
	book := ledger.New(7)
	f, err := NewFarm(FarmOptions{Ledger: book, Front: "127.0.0.1:0"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	book.End(book.Issue(1), 0, ledger.Accepted)
	for _, say := range []string{
		"Content-Type: message/delivery-status\n\n\nFinal-Recipient: rfc822;r0.0@x\nAction: failed\n\n--b\n\nX-Bench: 8,0,0,0,0000000000000000\n",
		"Content-Type: message/delivery-status\n\n\nFinal-Recipient: rfc822;r9.0@x\nAction: delayed\n",
		"Content-Type: message/delivery-status\n\n\nFinal-Recipient: rfc822;me@x\nAction: failed\n",
		"Subject: x\n\nhello\n",
	} {
		var d dsnParser
		d.add([]byte(say))
		f.heed(&d)
	}
	if got := book.Totals(0); got.Strange != 3 || got.Bounced != 0 || got.DelayNotices != 0 || got.Lost != 1 {
		t.Errorf("%+v", got)
	}
	if n := f.Notices(); n != (Notices{Bounces: 2, Delays: 1, Unread: 1}) {
		t.Errorf("%+v", n)
	}
}

// A text says the same in pieces of any size, and takes bounded memory.
func FuzzReports(f *testing.F) {
	f.Add([]byte(reportHead+"Content-Type: message/delivery-status\n\nA: b\n\nFinal-Recipient: rfc822;r5.0@x\nAction: failed\n"), 3)
	f.Fuzz(func(t *testing.T, text []byte, step int) {
		step = max(1, step)
		var whole, pieces dsnParser
		whole.add(text)
		for p := text; len(p) > 0; {
			n := min(step, len(p))
			pieces.add(p[:n])
			p = p[n:]
		}
		a, b := whole.finish(), pieces.finish()
		if len(a) != len(b) || len(a) > 0 && !reflect.DeepEqual(a, b) {
			t.Errorf("%+v in one piece, %+v in pieces of %d", a, b, step)
		}
		if len(whole.line) > maxReportLine || len(whole.field) > 2*maxReportLine || len(a) > maxReports {
			t.Errorf("%d %d %d", len(whole.line), len(whole.field), len(a))
		}
	})
}
