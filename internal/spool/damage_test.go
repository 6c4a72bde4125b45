package spool_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/internal/spool"
	"postrider/internal/spool/frame"
)

// store is a disk with a spool on it that is no longer open.
type store struct {
	fs    *vfs.MemFS
	o     spool.Options
	want  []entry
	wrote []*spool.Write
}

// fillStore writes n records, one to a group, over several generations and two
// openings, and ends cleanly or in a power cut.
func fillStore(t *testing.T, n int, clean bool) *store {
	st := &store{fs: vfs.NewCrashableMem()}
	st.o = small(st.fs)
	st.o.SegmentBytes, st.o.GroupRecords, st.o.Segments = 16<<10, 1, 8
	s := mustOpen(t, st.o, nil)
	for i := range n {
		if i == n/3 {
			mustClose(t, s)
			s = mustOpen(t, st.o, nil)
		}
		id := s.NextID()
		w := put(s, message, id, content(id, 40), content(id, 500), false)
		if w.Err != nil {
			t.Fatal(w.Err)
		}
		st.wrote = append(st.wrote, w)
		st.want = append(st.want, entry{w.Kind, id, string(w.Head) + string(w.Body)})
	}
	st.o.Segments = 1 // so that no later opening makes more
	if clean {
		mustClose(t, s)
		st.fs = st.copy()
		return st
	}
	fs := st.copy()
	mustClose(t, s)
	st.fs = fs
	return st
}

// copy returns the disk as it would be after a power cut now.
func (st *store) copy() *vfs.MemFS { return st.fs.CrashClone(vfs.CrashCloneCfg{}) }

func (st *store) files(t *testing.T) []string {
	names, err := st.fs.List("spool")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, func(n string) bool { return n == "LOCK" })
}

// change gives the bytes of a file from off on to f, and writes them back.
func change(t testing.TB, fs vfs.FS, name string, off int64, n int, f func([]byte)) {
	t.Helper()
	file, err := fs.OpenReadWrite("spool/"+name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, n)
	if _, err := file.ReadAt(p, off); err != nil {
		t.Fatalf("%s at %d: %v", name, off, err)
	}
	f(p)
	if _, err := file.WriteAt(p, off); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		t.Fatal(err)
	}
}

func flip(p []byte) { p[0] ^= 0x10 }

// fileOf returns the file that holds generation gen.
func (st *store) fileOf(t *testing.T, gen uint64) string {
	for _, name := range st.files(t) {
		var h frame.SegmentHeader
		p := make([]byte, frame.SegmentHeaderLen)
		if f, err := st.fs.Open("spool/" + name); err == nil {
			_, _ = f.ReadAt(p, 0)
			_ = f.Close()
		}
		if frame.ParseSegmentHeader(p, &h) == nil && h.Gen == gen {
			return name
		}
	}
	t.Fatalf("no file for generation %d", gen)
	return ""
}

// openCopy opens a copy of the disk after damage was done to it.
func (st *store) openCopy(fs vfs.FS, salvage bool) (*spool.Spool, []entry, error) {
	o := st.o
	o.FS, o.Salvage = fs, salvage
	var got []entry
	s, err := spool.Open(o, collect(&got))
	return s, got, err
}

// subset reports whether got is want without some of its entries.
func subset(got, want []entry) bool {
	for _, e := range got {
		i := slices.Index(want, e)
		if i < 0 {
			return false
		}
		want = want[i+1:]
	}
	return true
}

// TestFlippedByte flips one byte at every 64th part of every file, and each byte
// of the epoch file and of the headers at the front of the last segment. Either Open refuses, or nothing is missing, or
// (after a power cut) the flip lies in the last synced group and that alone is
// gone. With Salvage whatever still checks comes back, and the spool opens
// without it from then on.
//
// Covers G5.
func TestFlippedByte(t *testing.T) {
	for _, clean := range []bool{true, false} {
		st := fillStore(t, 50, clean)
		last := st.wrote[len(st.wrote)-1]
		lastFile := st.fileOf(t, last.LSN.Gen)
		for _, name := range st.files(t) {
			info, err := st.fs.Stat("spool/" + name)
			if err != nil {
				t.Fatal(err)
			}
			var offs []int64
			if name == "epoch" || name == lastFile {
				for i := range min(int64(112), info.Size()) {
					offs = append(offs, i)
				}
				for i := int64(512); i < min(630, info.Size()); i++ {
					offs = append(offs, i)
				}
			}
			for i := range int64(64) {
				offs = append(offs, i*info.Size()/64, (i*info.Size()+info.Size()/2)/64)
			}
			for i, off := range offs {
				if raceEnabled && i%5 != 0 {
					continue
				}
				inLast := name == lastFile && off >= last.LSN.Off-frame.GroupHeaderLen && off < last.End.Off
				st.flipOne(t, name, off, clean, inLast)
			}
		}
	}
}

func (st *store) flipOne(t *testing.T, name string, off int64, clean, inLast bool) {
	fs := st.copy()
	change(t, fs, name, off, 1, flip)
	at := fmt.Sprintf("%s at %d, clean %v", name, off, clean)
	s, got, err := st.openCopy(fs, false)
	switch {
	case err == nil:
		mustClose(t, s)
		torn := !clean && inLast && slices.Equal(got, st.want[:len(st.want)-1])
		if !torn && !slices.Equal(got, st.want) {
			t.Fatalf("%s: %d of %d records without an error", at, len(got), len(st.want))
		}
		return
	case errors.Is(err, spool.ErrVersion):
		return // that is not damage which an operator may wave through
	case !errors.Is(err, spool.ErrDamaged):
		t.Fatalf("%s: %v", at, err)
	}
	s, got, err = st.openCopy(fs, true)
	if err != nil {
		t.Fatalf("%s: salvage: %v", at, err)
	}
	if !subset(got, st.want) || len(got) < len(st.want)-30 {
		t.Fatalf("%s: salvage gave %d of %d records, or wrong ones", at, len(got), len(st.want))
	}
	if r := s.Recovery(); len(got) < len(st.want) && len(r.Gaps)+len(r.SetAside) == 0 {
		t.Fatalf("%s: salvage lost records and names no gap", at)
	}
	id := s.NextID()
	if w := put(s, settle, id, []byte("after"), nil, false); w.Err != nil {
		t.Fatalf("%s: append after salvage: %v", at, w.Err)
	}
	mustClose(t, s)
	s, again, err := st.openCopy(fs, false)
	if err != nil {
		t.Fatalf("%s: open after salvage: %v", at, err)
	}
	mustClose(t, s)
	if !slices.Equal(again, append(got, entry{settle, id, "after"})) {
		t.Fatalf("%s: %d records after salvage, then %d", at, len(got), len(again))
	}
}

// TestHole damages a group in the last generation that later groups follow, which
// say that it was synced: it is no torn tail. Salvage names the gap with its id
// and keeps its bytes.
//
// Covers G5.
func TestHole(t *testing.T) {
	st := fillStore(t, 30, false)
	fs := st.copy()
	bad := st.wrote[len(st.wrote)-3]
	name := st.fileOf(t, bad.LSN.Gen)
	change(t, fs, name, bad.End.Off-8, 1, flip)
	if _, _, err := st.openCopy(fs, false); !errors.Is(err, spool.ErrDamaged) ||
		!strings.Contains(err.Error(), fmt.Sprint(bad.LSN.Off-frame.GroupHeaderLen)) {
		t.Fatalf("error %v does not name the place", err)
	}
	s, got, err := st.openCopy(fs, true)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Delete(slices.Clone(st.want), len(st.want)-3, len(st.want)-2)
	if !slices.Equal(got, want) {
		t.Fatalf("salvage gave %d records, want %d", len(got), len(want))
	}
	gaps := s.Recovery().Gaps
	if len(gaps) != 1 || gaps[0].Gen != bad.LSN.Gen || !slices.Equal(gaps[0].IDs, []mail.ID{bad.ID}) {
		t.Fatalf("gaps %+v", gaps)
	}
	mustClose(t, s)
	kept := fmt.Sprintf("spool/quarantine-%d-%d.bin", gaps[0].Gen, gaps[0].From)
	if info, err := fs.Stat(kept); err != nil || info.Size() != gaps[0].To-gaps[0].From {
		t.Fatalf("%s: %v", kept, err)
	}
}

// TestTornTail leaves half of the last group unwritten, and garbage behind it:
// the spool opens without it, and goes on.
//
// Covers G1.
func TestTornTail(t *testing.T) {
	st := fillStore(t, 30, false)
	last := st.wrote[len(st.wrote)-1]
	fs := st.copy()
	name := st.fileOf(t, last.LSN.Gen)
	change(t, fs, name, last.LSN.Off+200, 3000, func(p []byte) {
		copy(p, content(last.ID, len(p)))
	})
	want := st.want[:len(st.want)-1]
	for range 3 {
		s, got, err := st.openCopy(fs, false)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("replayed %d of %d: %v", len(got), len(want), err)
		}
		id := s.NextID()
		put(s, message, id, []byte("new"), nil, false)
		want = append(want, entry{message, id, "new"})
		fs = fs.CrashClone(vfs.CrashCloneCfg{})
		mustClose(t, s)
	}
}

// TestStaleBytes puts intact groups where they do not belong: of an earlier
// generation at their own offset in the same file, and of the same generation at
// another offset. None of them checks.
//
// Covers G1.
func TestStaleBytes(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := small(fs)
	o.SegmentBytes, o.GroupRecords, o.Segments = 16<<10, 1, 3
	s := mustOpen(t, o, nil)
	var want []entry
	var first uint64
	files := map[uint64]bool{}
	for i := 0; len(files) < 8 || len(want) < 4; i++ {
		id := s.NextID()
		w := put(s, message, id, nil, []byte(fmt.Sprintf("body %0900d", i)), false)
		if w.Err != nil {
			t.Fatal(w.Err)
		}
		if !files[w.LSN.Gen] {
			want = nil
			files[w.LSN.Gen], first = true, w.LSN.Gen
			s.Advance(first)
			put(s, settle, id, nil, nil, false) // so that it is recorded
			want = append(want, entry{message, id, string(w.Body)}, entry{settle, id, ""})
			continue
		}
		want = append(want, entry{message, id, string(w.Body)})
	}
	disk := fs.CrashClone(vfs.CrashCloneCfg{})
	end := s.Synced()
	mustClose(t, s)
	// As it is, the groups of the generation that used the file before follow the
	// end. Now also one of this generation, from elsewhere.
	st := &store{fs: disk, o: o}
	name := st.fileOf(t, first)
	var group []byte
	change(t, disk, name, frame.SegmentHeaderLen, 1024, func(p []byte) { group = slices.Clone(p) })
	change(t, disk, name, end.Off, 1024, func(p []byte) {
		if p[0] == 0 {
			t.Fatal("nothing stale behind the end")
		}
		copy(p, group)
	})
	s, got, err := st.openCopy(disk, false)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("replayed %d of %d: %v", len(got), len(want), err)
	}
	mustClose(t, s)
}

// TestLostFile takes away whole files, and fills whole segments with zeros. After
// a clean end both are noticed; after a power cut a last segment of zeros cannot
// be told from one that was never begun, but its generation is not used again.
//
// Covers G5.
func TestLostFile(t *testing.T) {
	for _, clean := range []bool{true, false} {
		st := fillStore(t, 60, clean)
		last := st.wrote[len(st.wrote)-1].LSN.Gen
		for _, name := range st.files(t) {
			removed := st.copy()
			if err := removed.Remove("spool/" + name); err != nil {
				t.Fatal(err)
			}
			// The last segment that is gone looks as if it had never been begun, unless
			// something behind it says otherwise: a known limit of the package.
			if known := !clean && name == st.fileOf(t, last); known {
				if s, _, err := st.openCopy(removed, false); err == nil {
					if s.Current() <= last {
						t.Fatalf("generation %d after %d was lost", s.Current(), last)
					}
					mustClose(t, s)
				} else if !errors.Is(err, spool.ErrDamaged) {
					t.Fatal(err)
				}
			} else {
				st.lost(t, removed, name+" removed", clean)
			}
			if !strings.HasSuffix(name, ".seg") {
				continue
			}
			zeroed := st.copy()
			change(t, zeroed, name, 0, int(st.o.SegmentBytes), func(p []byte) { clear(p) })
			if !clean && name == st.fileOf(t, last) {
				s, _, err := st.openCopy(zeroed, false)
				if err != nil || s.Current() <= last {
					t.Fatalf("generation %d after %d was lost: %v", s.Current(), last, err)
				}
				mustClose(t, s)
				continue
			}
			st.lost(t, zeroed, name+" zeroed", clean)
		}
	}
}

func (st *store) lost(t *testing.T, fs vfs.FS, what string, clean bool) {
	s, got, err := st.openCopy(fs, false)
	if err == nil {
		mustClose(t, s)
		if !slices.Equal(got, st.want) {
			t.Fatalf("%s, clean %v: %d of %d records and no error", what, clean, len(got), len(st.want))
		}
	} else if !errors.Is(err, spool.ErrDamaged) {
		t.Fatalf("%s, clean %v: %v", what, clean, err)
	}
}

// TestVersion raises the version byte of each format: this software refuses, and
// says that it is too old. The bytes of the present one are pinned.
//
// Covers G7.
func TestVersion(t *testing.T) {
	st := fillStore(t, 10, true)
	for _, name := range []string{"epoch", st.fileOf(t, st.wrote[9].LSN.Gen)} {
		fs := st.copy()
		change(t, fs, name, 0, 1, func(p []byte) { p[0] = frame.Version + 1 })
		for _, salvage := range []bool{false, true} {
			if _, _, err := st.openCopy(fs, salvage); !errors.Is(err, spool.ErrVersion) {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	e := frame.Epoch{Node: 1, Incarnation: 2, Boots: 3, Reserved: 4, TimeMS: 5, End: frame.LSN{Gen: 6, Off: 7}}
	const pinned = "02000100" + "00000000000000000000000000000000" + "0200000000000000" +
		"0300000000000000" + "0400000000000000" + "0500000000000000" + "0600000000000000" + "0700000000000000"
	if got := hex.EncodeToString(frame.AppendEpoch(nil, &e)); !strings.HasPrefix(got, pinned) {
		t.Fatalf("epoch file of version 2 is %s", got)
	}
}
