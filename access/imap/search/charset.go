package search

import (
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
)

// charsets finds charsets by name and remembers the last one.
type charsets struct {
	name string
	last encoding.Encoding
}

// find returns the charset with this name, or nil: UTF-8, ASCII, or not known.
func (c *charsets) find(name []byte) encoding.Encoding {
	if sameFold(name, "utf-8") || sameFold(name, "us-ascii") || len(name) == 0 {
		return nil
	}
	if c.name != string(name) {
		c.name = string(name)
		c.last, _ = Charset(c.name)
	}
	return c.last
}

// Charset returns the charset with this name, nil for UTF-8 and what is a part of
// it, and whether it is known.
func Charset(name string) (encoding.Encoding, bool) {
	switch {
	case len(name) > 64:
		return nil, false
	case sameFold([]byte(name), "utf-8"), sameFold([]byte(name), "utf8"), sameFold([]byte(name), "us-ascii"):
		return nil, true
	}
	// The index for HTML knows what names mean in practice; it replaces what is
	// dangerous in a browser by nothing at all, which is of no use here.
	if e, err := htmlindex.Get(name); err == nil && e != encoding.Replacement {
		if canonical, err := htmlindex.Name(e); err != nil || canonical != "utf-8" {
			return e, true
		}
		return nil, true
	}
	if e, err := ianaindex.MIME.Encoding(name); err == nil && e != nil {
		return e, true
	}
	return nil, false
}
