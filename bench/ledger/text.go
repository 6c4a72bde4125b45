package ledger

import (
	"bytes"

	"github.com/cespare/xxhash/v2"
)

// ReadText finds what X-Bench says of a message's text, and whether its body has
// the hash that is stated there. ok is false when there is no such header.
func ReadText(text []byte) (h Header, whole, ok bool) {
	header, body, _ := bytes.Cut(text, []byte("\r\n\r\n"))
	for line := range bytes.Lines(header) {
		if n := len(HeaderName); len(line) > n && bytes.EqualFold(line[:n], []byte(HeaderName)) {
			if h, ok = ParseHeader(line); ok {
				return h, xxhash.Sum64(body) == h.Hash, true
			}
		}
	}
	return h, false, false
}
