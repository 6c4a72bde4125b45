package inflate_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"postrider/internal/inflate"
)

// decode passes src in pieces and reads with a room of its own size.
func decode(t testing.TB, d *inflate.Decoder, src []byte, piece, room int) ([]byte, error) {
	t.Helper()
	var out []byte
	dst := make([]byte, room)
	for len(src) > 0 {
		part := src[:min(piece, len(src))]
		src = src[len(part):]
		for {
			n, used, err := d.Decode(dst, part)
			out = append(out, dst[:n]...)
			part = part[used:]
			if err != nil {
				return out, err
			}
			if n < room {
				if len(part) > 0 {
					t.Fatalf("%d octets were left over", len(part))
				}
				break
			}
		}
	}
	return out, nil
}

func texts() map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	return map[string][]byte{
		"one":      []byte("a"),
		"commands": []byte(strings.Repeat("a1 UID FETCH 1:* (FLAGS)\r\na2 NOOP\r\n", 20)),
		"spaces":   bytes.Repeat([]byte{' '}, 300_000),
		"noise":    noise,
		"mixed":    append(append(bytes.Repeat([]byte("the same words again and again "), 5000), noise[:70_000]...), bytes.Repeat([]byte("xyz"), 9000)...),
	}
}

// What was compressed comes back, in whatever pieces, at whatever level.
func TestDecode(t *testing.T) {
	var pool inflate.Pool
	for name, text := range texts() {
		for _, level := range []int{flate.NoCompression, flate.BestSpeed, flate.DefaultCompression, flate.HuffmanOnly} {
			var packed bytes.Buffer
			w, err := flate.NewWriter(&packed, level)
			if err != nil {
				t.Fatal(err)
			}
			for part := text; len(part) > 0; { // with a flush now and then
				n := min(len(part), 50_000)
				_, e1 := w.Write(part[:n])
				if err := errors.Join(e1, w.Flush()); err != nil {
					t.Fatal(err)
				}
				part = part[n:]
			}
			for _, c := range []struct{ piece, room int }{{1, 7}, {3, 1}, {1000, 100}, {1 << 20, 32 << 10}} {
				d := inflate.NewDecoder(&pool)
				got, err := decode(t, d, packed.Bytes(), c.piece, c.room)
				if err != nil || !bytes.Equal(got, text) {
					t.Errorf("%s at level %d in pieces of %d: %d octets of %d, %v", name, level, c.piece, len(got), len(text), err)
				}
				if d.Window() > 2*max(len(text), 512) || d.Window() > 32<<10 {
					t.Errorf("%s: a window of %d", name, d.Window())
				}
				d.Close()
			}
		}
	}
}

// Everything that can be told is told, though the last octets of a flush are missing,
// and though the flush was a partial one: an empty block with the fixed code, as zlib's
// Z_PARTIAL_FLUSH sends it.
func TestPartialFlush(t *testing.T) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(strings.Repeat("a1 NOOP and some more words\r\n", 10))
	_, e1 := w.Write(text)
	if err := errors.Join(e1, w.Flush()); err != nil {
		t.Fatal(err)
	}
	sync := []byte{0, 0, 0xff, 0xff}
	if !bytes.HasSuffix(packed.Bytes(), sync) {
		t.Fatalf("no sync flush: %x", packed.Bytes())
	}
	var pool inflate.Pool
	d := inflate.NewDecoder(&pool)
	got, err := decode(t, d, bytes.TrimSuffix(packed.Bytes(), sync), 5, 4096)
	if err != nil || !bytes.Equal(got, text) {
		t.Fatalf("%d octets of %d without the end of the flush, %v", len(got), len(text), err)
	}
	// "hi\r\n" in a fixed block that is followed by an empty one.
	partial := []byte{0xca, 0xc8, 0xe4, 0xe5, 0x02, 0x08}
	d = inflate.NewDecoder(&pool)
	if got, err := decode(t, d, partial, 1, 4096); err != nil || string(got) != "hi\r\n" {
		t.Fatalf("%q, %v", got, err)
	}
}

// What is no stream is an error, and the end of one is told.
func TestBroken(t *testing.T) {
	var pool inflate.Pool
	for name, src := range map[string][]byte{
		"block type 3":                   {0x07},
		"stored length":                  {0x00, 1, 0, 0, 0},
		"distance before the beginning":  {0x4a, 0x04, 0x42, 0, 0},
		"too many literals":              {0xfc, 0xff, 0xff},
		"a code with more than its room": {0x04, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		d := inflate.NewDecoder(&pool)
		if got, err := decode(t, d, src, 1, 100); !errors.Is(err, inflate.ErrCorrupt) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		d.Close()
	}
	d := inflate.NewDecoder(&pool)
	if got, err := decode(t, d, []byte{0x4b, 0x04, 0x00}, 1, 100); err != io.EOF || string(got) != "a" {
		t.Errorf("%q, %v", got, err)
	}
}

// Between blocks, and for the next piece of the same kind, nothing is allocated.
func TestAllocDecode(t *testing.T) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(strings.Repeat("a1 NOOP and some more words\r\n", 10))
	_, e1 := w.Write(text)
	if err := errors.Join(e1, w.Flush()); err != nil {
		t.Fatal(err)
	}
	var pool inflate.Pool
	d := inflate.NewDecoder(&pool)
	room := make([]byte, 4096)
	for range 200 { // the window is then as large as it gets
		if _, _, err := d.Decode(room, packed.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if allocs := testing.AllocsPerRun(100, func() {
		if n, used, err := d.Decode(room, packed.Bytes()); n != len(text) || used != packed.Len() || err != nil {
			t.Fatal(n, used, err)
		}
	}); allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// The decoder says what compress/flate says, and nothing makes it panic.
func FuzzDecode(f *testing.F) {
	for _, text := range texts() {
		var packed bytes.Buffer
		w, err := flate.NewWriter(&packed, flate.DefaultCompression)
		if err != nil {
			f.Fatal(err)
		}
		_, e1 := w.Write(text[:min(len(text), 2000)])
		if err := errors.Join(e1, w.Close()); err != nil {
			f.Fatal(err)
		}
		f.Add(packed.Bytes(), 3)
	}
	f.Add([]byte{0xca, 0xc8, 0xe4, 0xe5, 0x02, 0x08}, 1)
	f.Fuzz(func(t *testing.T, src []byte, piece int) {
		var pool inflate.Pool
		d := inflate.NewDecoder(&pool)
		defer d.Close()
		const most = 1 << 20
		got, err := decode(t, d, src, min(max(piece, 1), 1000), 999)
		if len(got) > most {
			return
		}
		want, theirs := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(src)), most+1))
		if !bytes.HasPrefix(got, want) {
			t.Fatalf("%q, %v; they say %q, %v", got, err, want, theirs)
		}
		if theirs == nil && (err != io.EOF || len(got) != len(want)) {
			t.Fatalf("%d octets, %v; theirs %d and an end", len(got), err, len(want))
		}
		var corrupt flate.CorruptInputError
		if err == io.EOF && errors.As(theirs, &corrupt) {
			t.Fatalf("an end; theirs %v", theirs)
		}
	})
}
