package cold

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/queue/internal/record"
)

type place struct {
	segment uint32
	off     int64
	text    []byte
	synced  bool
}

// What was synced is there after a power cut, at the place that Append named,
// over many segments; a new process begins a new file; what no counters name is
// swept.
func TestPowerCuts(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fs := vfs.NewCrashableMem()
		s, err := Open(fs, "cold", 4096)
		if err != nil {
			t.Fatal(err)
		}
		var places []place
		for n := range 60 {
			text := bytes.Repeat([]byte{byte(n)}, rng.IntN(1500))
			seg, off, err := s.Append(mail.MakeID(1, 0, 0, uint32(n)), text, record.Sum(text))
			if err != nil {
				t.Fatal(err)
			}
			places = append(places, place{seg, off, text, false})
			if rng.IntN(5) == 0 {
				if err := s.Sync(); err != nil {
					t.Fatal(err)
				}
				for k := range places {
					places[k].synced = true
				}
			}
		}
		cut := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed) % 101, RNG: rng})
		again, err := Open(cut, "cold", 4096)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range places {
			if total, dead, ok := s.Counters(p.segment); ok && p.synced {
				again.Add(p.segment, total, dead)
			}
		}
		if missing, err := again.Sweep(); err != nil || len(missing) != 0 {
			t.Fatal(missing, err)
		}
		for _, p := range places {
			if !p.synced {
				continue
			}
			g, err := again.Acquire(p.segment)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(p.text))
			if _, err := g.ReadAt(got, p.off); err != nil && err != io.EOF || !bytes.Equal(got, p.text) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if err := g.Release(); err != nil {
				t.Fatal(err)
			}
		}
		last := places[len(places)-1].segment
		if seg, _, err := again.Append(mail.ID{}, nil, 0); err != nil || seg <= last && places[len(places)-1].synced {
			t.Errorf("appended to segment %d of an earlier process: %v", seg, err)
		}
	}
}

// A reader keeps a removed segment readable; nobody else finds it.
func TestRemoveUnderReader(t *testing.T) {
	fs := vfs.NewMem()
	s, err := Open(fs, "cold", 64)
	if err != nil {
		t.Fatal(err)
	}
	first, off, err := s.Append(mail.ID{1}, []byte("first"), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Append(mail.ID{2}, []byte("second"), 2); err != nil {
		t.Fatal(err)
	}
	g, err := s.Acquire(first)
	if err != nil {
		t.Fatal(err)
	}
	s.Kill(first, int64(len("first")))
	if n, live, ok := s.Dead(); n != first || live != 0 || !ok {
		t.Fatal(n, live, ok)
	}
	if err := s.Remove(first); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := g.ReadAt(b, off); err != nil || string(b) != "first" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := s.Acquire(first); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := errors.Join(g.Release(), s.Close()); err != nil {
		t.Error(err)
	}
	if names, _ := fs.List("cold"); len(names) != 1 {
		t.Error(names)
	}
}

// Covers G7.
func TestNewerSegmentIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	s, err := Open(fs, "cold", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	n, _, err := s.Append(mail.ID{1}, []byte("text"), 1)
	if err != nil {
		t.Fatal(err)
	}
	s.buf[0] = version + 1
	copy(s.buf[12:], []byte{0, 0, 0, 0})
	crc := record.Sum(s.buf[:12])
	s.buf[12], s.buf[13], s.buf[14], s.buf[15] = byte(crc), byte(crc>>8), byte(crc>>16), byte(crc>>24)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Walk(n, nil); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
}

// Files whose counters cannot be read are kept as they are and can be read;
// Sweep leaves them alone.
//
// Covers G5.
func TestAdopt(t *testing.T) {
	fs := vfs.NewMem()
	s, err := Open(fs, "cold", 1)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("text")
	var places []place
	for n := range 3 {
		seg, off, err := s.Append(mail.ID{byte(n)}, text, record.Sum(text))
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, place{seg, off, text, true})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(fs, "cold", 1)
	if err != nil {
		t.Fatal(err)
	}
	again.Add(places[0].segment, 100, 50)
	if err := again.Adopt(); err != nil {
		t.Fatal(err)
	}
	if missing, err := again.Sweep(); err != nil || len(missing) != 0 {
		t.Errorf("missing %v, %v", missing, err)
	}
	for k, p := range places {
		total, dead, ok := again.Counters(p.segment)
		wantTotal, wantDead := int64(headLen+len(text)), int64(0)
		if k == 0 {
			wantTotal, wantDead = 100, 50
		}
		if !ok || total != wantTotal || dead != wantDead {
			t.Errorf("segment %d: %d bytes, %d dead, %v", p.segment, total, dead, ok)
		}
		g, err := again.Acquire(p.segment)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(text))
		if _, err := g.ReadAt(got, p.off); err != nil || !bytes.Equal(got, text) {
			t.Errorf("segment %d: %q, %v", p.segment, got, err)
		}
		if err := g.Release(); err != nil {
			t.Error(err)
		}
	}
	if n, _, err := again.Append(mail.ID{9}, text, 1); err != nil || n <= places[2].segment {
		t.Errorf("the next segment is %d: %v", n, err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
