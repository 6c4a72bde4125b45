package search

import (
	"hash/maphash"
	"testing"

	"postrider/delivery/mailbox"
)

// FuzzHeader takes apart what a stranger's header, and the envelope made of it, may hold.
//
// Covers HI3.
func FuzzHeader(f *testing.F) {
	for _, header := range []string{
		"Subject: =?utf-8?q?a?= =?koi8-r?b?8NLJ18XU?=\r\n", "From: a@b\r\nDate: 1 Jan 2026 00:00 +0000\r\n", "Subject: [fwd: re: [a] b (fwd)]\r\n", "Subject: [a][b][c]re[x]:", "Subject : =?x?", "Date:(((", "\r\n", "Subject: =?iso-2022-jp?b?GyRCJDM=?=\r\n", "Subject: =?utf-8?b?4pg=?= =?utf-8?b?gw==?=", "Content-Type: text/plain; charset=gb18030\r\n",
		`("date" {5}` + "\r\n" + `a(")b ((NIL NIL "friends" NIL)("A" NIL "a" "x.example")) NIL NIL (("C" NIL "c" "y")) NIL NIL NIL "<id>")`,
	} {
		f.Add([]byte(header), uint8(3))
	}
	f.Fuzz(func(t *testing.T, header []byte, cut uint8) {
		var v values
		for rest := header; ; {
			name, value, next := nextField(rest)
			if len(name) == 0 {
				break
			}
			if len(next) >= len(rest) {
				t.Fatalf("stands still at %q", rest)
			}
			// An octet is at most three, and decomposed at most eighteen characters.
			if text := v.words.text(value); len(text) > 3*len(value) {
				t.Errorf("%q became %q", value, text)
			}
			rest = next
		}
		it := &mailbox.Items{Header: header}
		it.Envelope, it.References, it.MessageID = header, header, header
		for by := range byCount {
			if text := v.text(by, it); by == BySubject && len(text) > 18*3*longestSubject {
				t.Errorf("a key of %d octets", len(text))
			}
		}
		v.sent(&mailbox.Meta{}, it)
		b := &threader{seed: maphash.MakeSeed(), Threads: &Threads{index: []uint32{0, 1}}, kin: newKinship(2)}
		b.relate(0, it)
		b.relate(1, it)
		b.kin.cut()

		// Where a text is cut makes no difference to what is found in it.
		charset := v.words.charsets.find(header[:min(len(header), int(cut%16))])
		feed := func(pieces ...[]byte) string {
			r := textReader{charset: charset, longest: 1 << 20}
			if !charset.plain() {
				charset.decoder.Reset()
			}
			for i, p := range pieces {
				r.plain = append(r.plain, p...)
				r.convert(i == len(pieces)-1)
				r.fold(i == len(pieces)-1)
			}
			return string(r.window)
		}
		at := min(len(header), int(cut))
		if whole, parts := feed(header), feed(header[:at], header[at:]); whole != parts {
			t.Errorf("%q cut at %d: %q, whole: %q", header, at, parts, whole)
		}
	})
}
