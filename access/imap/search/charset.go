package search

import (
	"errors"
	"slices"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/transform"
)

// charset is one that is in use.
type charset struct {
	name    string
	table   *charmap.Charmap  // of one with an octet for each character; nil: it is none
	decoder *encoding.Decoder // nil: UTF-8, ASCII, or not known
}

// plain reports that nothing is to be decoded.
func (c *charset) plain() bool { return c.decoder == nil }

// append appends p as UTF-8.
func (c *charset) append(dst, p []byte) []byte {
	switch {
	case c.plain():
		return appendUTF8(dst, p)
	case c.table != nil:
		for _, b := range p {
			dst = utf8.AppendRune(dst, c.table.DecodeByte(b))
		}
		return dst
	}
	c.decoder.Reset()
	dst, _ = c.transform(dst, p, true)
	return dst
}

// transform appends what of p it can as UTF-8 and returns the rest, which without last
// may be completed by what follows.
func (c *charset) transform(dst, p []byte, last bool) (out, rest []byte) {
	for {
		dst = slices.Grow(dst, 2*len(p)+utf8.UTFMax)
		nDst, nSrc, err := c.decoder.Transform(dst[len(dst):cap(dst)], p, last)
		dst, p = dst[:len(dst)+nDst], p[nSrc:]
		if !errors.Is(err, transform.ErrShortDst) || nDst == 0 && nSrc == 0 {
			return dst, p
		}
	}
}

// charsets finds charsets by name and remembers the last few.
type charsets struct {
	recent [4]charset
	next   int
	utf8   charset
}

// find returns the charset with this name; what is not known is taken for UTF-8. It is
// valid until other ones are looked for.
func (c *charsets) find(name []byte) *charset {
	if sameFold(name, "utf-8") || sameFold(name, "us-ascii") || len(name) == 0 {
		return &c.utf8
	}
	for i := range c.recent {
		if c.recent[i].name == string(name) {
			return &c.recent[i]
		}
	}
	found := &c.recent[c.next]
	c.next = (c.next + 1) % len(c.recent)
	*found = charset{name: string(name)}
	if e, _ := Charset(found.name); e != nil {
		found.table, _ = e.(*charmap.Charmap)
		found.decoder = e.NewDecoder()
	}
	return found
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
