package pop3_test

import (
	"context"
	"errors"
	"io"
	"strings"

	"postrider/access/pop3"
)

// drop is what a session sees of a user's mail.
type drop struct {
	h       *house
	user    string
	letters []*letter
	reading *strings.Reader
}

func (d *drop) Len() (int, error) { return len(d.letters), nil }

func (d *drop) Stat() (messages int, bytes int64, err error) {
	for _, l := range d.letters {
		bytes += int64(len(l.text))
	}
	return len(d.letters), bytes, d.failure()
}

func (d *drop) failure() error {
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	return d.h.fail
}

func (d *drop) Size(i int) (int64, error) { return int64(len(d.letters[i].text)), d.failure() }

func (d *drop) AppendUID(dst []byte, i int) ([]byte, error) {
	return append(dst, d.letters[i].uid...), d.failure()
}

func (d *drop) Scan(i int, _ pop3.Listed, each func(i int, m pop3.Meta) bool) error {
	for ; i < len(d.letters); i++ {
		if !each(i, pop3.Meta{Size: int64(len(d.letters[i].text)), UID: []byte(d.letters[i].uid)}) {
			break
		}
	}
	return d.failure()
}

func (d *drop) Text(i int) (pop3.Text, error) {
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	for _, l := range d.h.mail[d.user] {
		if l == d.letters[i] {
			d.reading = strings.NewReader(l.text)
			return text{d.reading, d.h.damage}, d.h.fail
		}
	}
	return nil, pop3.ErrGone
}

type text struct {
	*strings.Reader
	damaged bool
}

func (t text) WriteTo(w io.Writer) (int64, error) {
	n, err := t.Reader.WriteTo(w)
	if t.damaged {
		err = errors.Join(err, errors.New("checksum does not match"))
	}
	return n, err
}

func (t text) Release() {}

func (d *drop) Update(_ context.Context, removed, seen pop3.Marks) error {
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	if d.h.fail != nil {
		return d.h.fail
	}
	for i := range seen.All() {
		d.letters[i].seen = true
	}
	gone := map[*letter]bool{}
	for i := range removed.All() {
		gone[d.letters[i]] = true
	}
	var left []*letter
	for _, l := range d.h.mail[d.user] {
		if !gone[l] {
			left = append(left, l)
		}
	}
	d.h.mail[d.user] = left
	return nil
}

func (d *drop) Close() {
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	d.h.closed++
}
