package ledger_test

import (
	"testing"

	"github.com/cespare/xxhash/v2"

	"postrider/bench/ledger"
)

func TestReadText(t *testing.T) {
	const body = "a line\r\n\r\nanother\r\n"
	line := string(ledger.AppendHeader(nil, ledger.Header{Run: 3, Seq: 42, Hash: xxhash.Sum64String(body)}))
	for name, c := range map[string]struct {
		text      string
		whole, ok bool
	}{
		"first":        {line + "Subject: x\r\n\r\n" + body, true, true},
		"below others": {"Return-Path: <a@b>\r\nReceived: from x\r\n by y\r\n" + line + "\r\n" + body, true, true},
		"damaged":      {line + "\r\n" + body + "x", false, true},
		"no body":      {line, false, true},
		"in the body":  {"Subject: x\r\n\r\n" + line, false, false},
		"no number":    {"X-Bench: 3,x\r\n\r\n" + body, false, false},
		"nothing":      {"", false, false},
	} {
		h, whole, ok := ledger.ReadText([]byte(c.text))
		if whole != c.whole || ok != c.ok || ok && (h.Run != 3 || h.Seq != 42) {
			t.Errorf("%s: %v %v %+v", name, whole, ok, h)
		}
	}
}
