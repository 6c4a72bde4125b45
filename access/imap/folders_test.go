package imap_test

import (
	"context"
	"strconv"
)

// limit sets the limits of user@mx.example.
func (h *house) limit(bytes, messages string) {
	h.t.Helper()
	b, err := strconv.ParseInt(bytes, 10, 64)
	if err != nil {
		h.t.Fatal(err)
	}
	n, err := strconv.ParseInt(messages, 10, 64)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.box("INBOX").Account().SetQuota(context.Background(), b, n); err != nil {
		h.t.Fatal(err)
	}
}
