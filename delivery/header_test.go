package delivery

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"postrider/internal/mail"
)

// text is a body; with file it is not in memory.
type text struct {
	b    []byte
	file bool
	end  error // what its Reader says in the place of io.EOF; nil: io.EOF
}

func (t *text) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(t.b).ReadAt(p, off) }
func (t *text) Size() int64                             { return int64(len(t.b)) }

func (t *text) Bytes() []byte {
	if t.file {
		return nil
	}
	return t.b
}

func (t *text) Reader() io.Reader {
	if t.end == nil {
		return bytes.NewReader(t.b)
	}
	return io.MultiReader(bytes.NewReader(t.b), &failing{t.end})
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

const ours = "Received: from c by here; now\r\n"

// A message leaves without the Return-Path fields that it came with, and nothing else
// changes.
func TestReturnPathsAreTakenOut(t *testing.T) {
	for name, m := range map[string]struct{ in, want string }{
		"none":        {ours + "Subject: x\r\n\r\nReturn-Path: <a@b>\r\n", ours + "Subject: x\r\n\r\nReturn-Path: <a@b>\r\n"},
		"one":         {ours + "Return-Path: <a@b>\r\nSubject: x\r\n\r\nbody", ours + "Subject: x\r\n\r\nbody"},
		"folded":      {ours + "return-PATH :\r\n <a@b>\r\n\tmore\r\nSubject: x\r\n\r\nbody", ours + "Subject: x\r\n\r\nbody"},
		"several":     {ours + "Return-Path: <a@b>\r\nA: b\r\nReturn-Path: <>\r\nReturn-Path: x\r\n\r\nbody", ours + "A: b\r\n\r\nbody"},
		"another one": {ours + "Return-Path-X: <a@b>\r\nX-Return-Path: y\r\n\r\nbody", ours + "Return-Path-X: <a@b>\r\nX-Return-Path: y\r\n\r\nbody"},
		"no body":     {ours + "Return-Path: <a@b>\r\n", ours},
		"no header":   {"\r\nReturn-Path: <a@b>\r\n", "\r\nReturn-Path: <a@b>\r\n"},
		"no field":    {"Dear all\r\nReturn-Path: <a@b>\r\n", "Dear all\r\nReturn-Path: <a@b>\r\n"},
		"empty":       {"", ""},
		"cut off":     {ours + "Return-Path: <a@b", ours + "Return-Path: <a@b"},
		"long": {
			ours + strings.Repeat("X: "+strings.Repeat("y", 70)+"\r\n", 2000) + "Return-Path: <a@b>\r\n\r\nbody",
			ours + strings.Repeat("X: "+strings.Repeat("y", 70)+"\r\n", 2000) + "\r\nbody",
		},
	} {
		for _, file := range []bool{false, true} {
			if got, _ := stripped(t, &text{b: []byte(m.in), file: file}); got != m.want {
				t.Errorf("%s, file %v: %q, want %q", name, file, got, m.want)
			}
		}
	}
}

// stripped returns the text as it would be filed, read in each of the ways that there
// are.
func stripped(t testing.TB, in *text) (string, *work) {
	t.Helper()
	w := new(work)
	if err := w.read(&mail.Delivery{Envelope: &mail.Envelope{}, Body: in}); err != nil {
		t.Fatal(err)
	}
	b := w.delivery.Text
	all, err := io.ReadAll(b.Reader())
	if err != nil {
		t.Fatal(err)
	}
	small, err := io.ReadAll(&oneByOne{b.Reader()})
	if err != nil || !bytes.Equal(small, all) {
		t.Errorf("in small pieces %q, %v", small, err)
	}
	at := make([]byte, len(all))
	if n, err := b.ReadAt(at, 0); n != len(all) || err != nil && err != io.EOF || !bytes.Equal(at, all) || b.Size() != int64(len(all)) {
		t.Errorf("ReadAt: %d bytes of %d, size %d, %v", n, len(all), b.Size(), err)
	}
	for off := 0; off < len(all); off += 1 + len(all)/50 {
		part := make([]byte, 7)
		n, err := b.ReadAt(part, int64(off))
		if want := all[off:min(len(all), off+7)]; !bytes.Equal(part[:n], want) || n < 7 && err != io.EOF {
			t.Errorf("at %d: %q, %v, want %q", off, part[:n], err, want)
		}
	}
	if mem := b.Bytes(); mem != nil && !bytes.Equal(mem, all) {
		t.Errorf("in memory %q", mem)
	}
	return string(all), w
}

type oneByOne struct{ r io.Reader }

func (o *oneByOne) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 3)]) }

func TestACutTextIsVerified(t *testing.T) {
	w := new(work)
	in := &text{b: []byte(ours + "Return-Path: <a@b>\r\n\r\nbody"), file: true, end: mail.ErrCorrupt}
	if err := w.read(&mail.Delivery{Envelope: &mail.Envelope{}, Body: in}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(w.delivery.Text.Reader()); !errors.Is(err, mail.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}

// A message is in a loop when it was delivered to the address, and has passed another
// system since.
func TestLoops(t *testing.T) {
	const theirs = "Received: from here by c; then\r\n"
	for in, want := range map[string]bool{
		ours + theirs + "Delivered-To: a@b.example\r\n\r\n":                  true,
		ours + theirs + "delivered-to : <A@B.example>\r\n\r\n":               true,
		ours + theirs + "Delivered-To:\r\n a@b.example\r\n\r\n":              true,
		ours + theirs + "Delivered-To: x@b.example\r\n\r\n":                  false,
		ours + theirs + "Delivered-To: aa@b.example\r\n\r\n":                 false,
		ours + "Delivered-To: a@b.example\r\n" + theirs + "\r\n":             false, // who hands it over has written that
		ours + theirs + "\r\nDelivered-To: a@b.example\r\n\r\n":              false,
		ours + theirs + "Delivered-To: x@b\r\nDelivered-To: a@b.example\r\n": true,
		ours + theirs + "X-Delivered-To: a@b.example\r\n\r\n":                false,
	} {
		_, w := stripped(t, &text{b: []byte(in)})
		if got := w.header.loops([]byte("a@b.example")); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}

// What is left of any text is the text without whole lines of its header.
func FuzzHeader(f *testing.F) {
	f.Add([]byte(ours+"Return-Path: <a@b>\r\n c\r\nDelivered-To: x@y\r\n\r\nbody"), true)
	f.Add([]byte("\r\n"), false)
	f.Add([]byte("Return-Path:\nReturn-Path:\n:\n"), false)
	f.Fuzz(func(t *testing.T, in []byte, file bool) {
		got, w := stripped(t, &text{b: in, file: file})
		cut := 0
		for _, c := range w.header.cuts {
			if field := in[c.from:c.to]; !bytes.HasPrefix(bytes.ToLower(field), []byte("return-path")) || field[len(field)-1] != '\n' {
				t.Errorf("took out %q", field)
			}
			cut += int(c.to - c.from)
		}
		if len(got)+cut != len(in) {
			t.Errorf("%d octets of %d, %d cut", len(got), len(in), cut)
		}
		w.header.loops([]byte("x@y"))
	})
}

// Who reads so many bytes as a text has, and no more, learns that they are damaged.
func TestTheLastReadVerifies(t *testing.T) {
	for name, m := range map[string]string{"cut": "Return-Path: <a@b>\r\n\r\nbody", "whole": "Subject: x\r\n\r\nbody"} {
		for _, damaged := range []bool{true, false} {
			w := new(work)
			in := &text{b: []byte(ours + m), file: true}
			if damaged {
				in.end = mail.ErrCorrupt
			}
			if err := w.read(&mail.Delivery{Envelope: &mail.Envelope{}, Body: in}); err != nil {
				t.Fatal(err)
			}
			b := w.delivery.Text
			n, err := io.ReadFull(b.Reader(), make([]byte, b.Size()))
			if damaged && !errors.Is(err, mail.ErrCorrupt) || !damaged && (err != nil || int64(n) != b.Size()) {
				t.Errorf("%s, damaged %v: %d bytes, %v", name, damaged, n, err)
			}
		}
	}
}
