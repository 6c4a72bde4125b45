package load

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	maxCorpusFile = 64 << 20
	maxCorpus     = 1 << 30 // bytes of all files
)

// sample is a message of a corpus, ready to follow the X-Bench header.
type sample struct {
	header, body []byte // the empty line belongs to header
	eightBit     bool
	dots         bool // a line begins with one
}

// readCorpus reads the files of dir and of the folders below it.
func readCorpus(dir string) ([]sample, error) {
	var all []sample
	sum := int64(0)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if sum += info.Size(); info.Size() > maxCorpusFile || sum > maxCorpus {
			return fmt.Errorf("%s: more than %d bytes, or %d with the others", path, maxCorpusFile, maxCorpus)
		}
		text, err := os.ReadFile(path)
		if err == nil && len(text) > 0 {
			all = append(all, newSample(text))
		}
		return err
	})
	if err == nil && len(all) == 0 {
		err = errors.New("no message in this folder")
	}
	return all, err
}

// newSample makes a file a message: lines end in CRLF, and what does not begin
// with a header field is a body.
func newSample(text []byte) sample {
	text = canonical(text)
	s := sample{dots: text[0] == '.' || bytes.Contains(text, []byte("\n."))}
	for _, c := range text {
		s.eightBit = s.eightBit || c > 127
	}
	if !isField(text) {
		s.header, s.body = []byte("\r\n"), text
		return s
	}
	if i := bytes.Index(text, []byte("\r\n\r\n")); i >= 0 {
		s.header, s.body = text[:i+4], text[i+4:]
	} else {
		s.header, s.body = append(text, '\r', '\n'), nil
	}
	return s
}

// canonical returns text with every CR, LF and CRLF as CRLF, and one at the end.
func canonical(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(text)/40+2)
	for i, c := range text {
		switch {
		case c == '\n' && i > 0 && text[i-1] == '\r':
		case c == '\n' || c == '\r':
			out = append(out, '\r', '\n')
		default:
			out = append(out, c)
		}
	}
	if !bytes.HasSuffix(out, []byte("\r\n")) {
		out = append(out, '\r', '\n')
	}
	return out
}

// isField reports whether text begins with "Name:".
func isField(text []byte) bool {
	for i, c := range text {
		if c == ':' {
			return i > 0
		}
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return false
}
