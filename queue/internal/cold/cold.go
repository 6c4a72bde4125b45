// Package cold keeps the texts of messages that have left the hot spool, in
// segment files that are written once, in order, and read at random.
//
// Guarantees: what Append has written is durable after the next Sync, which also
// syncs the folder when a file is new. A process never appends to a file of an
// earlier one. A segment whose bytes are all dead is unlinked as soon as nobody
// reads it; one that is more than half dead is offered for compaction.
//
// # Concurrency
//
// Append, Sync, Kill and Walk belong to one goroutine, the queue's apply worker.
// Acquire and Release may be called from anywhere; a mutex guards the table of
// segments, and is not held across I/O but for opening a file.
//
// # Format
//
// docs/formats.md, "Cold segments". A file begins with a header of 16 bytes;
// each text follows a head of 32 bytes that names its message and its length and
// bears both checksums.
package cold

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
	"postrider/queue/internal/record"
)

const (
	version   = 1
	magic     = "PRCOLD\x00"
	headerLen = 16
	headLen   = 32
	suffix    = ".cold"
	bufBytes  = 1 << 20
)

var (
	// ErrVersion reports a file of a newer version.
	ErrVersion = errors.New("cold segment version is newer than this software")
	// ErrDamaged reports a file that cannot be read or does not check.
	ErrDamaged = errors.New("cold segment is damaged")
)

// Segment is one file.
type Segment struct {
	Number uint32
	store  *Store
	name   string

	// Guarded by the store's mutex.
	total, dead int64
	refs        int
	file        vfs.File // open for reading while refs > 0
	keep        bool     // not to be compacted: it is damaged
}

// ReadAt reads from the file; the caller must hold it by Acquire.
func (g *Segment) ReadAt(p []byte, off int64) (int, error) { return g.file.ReadAt(p, off) }

// Store is a folder of segments.
type Store struct {
	fs    vfs.FS
	dir   string
	bytes int64

	mu   sync.Mutex // guards following
	segs map[uint32]*Segment

	// The worker's own.
	next    uint32
	cur     *Segment
	out     vfs.File
	outLen  int64
	buf     []byte
	unsaved bool // bytes written since the last sync
	fresh   bool // the file's name is not synced
}

// Open opens the folder, making it when it is missing. segmentBytes is the size
// at which a file is closed and the next begun.
func Open(fs vfs.FS, dir string, segmentBytes int64) (*Store, error) {
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make cold folder: %w", err)
	}
	if err := SyncDir(fs, fs.PathDir(dir)); err != nil {
		return nil, err
	}
	return &Store{fs: fs, dir: dir, bytes: segmentBytes, segs: make(map[uint32]*Segment), next: 1}, nil
}

// Add tells of a segment known from its counters' row. All are added before
// Sweep, and before anything else.
func (s *Store) Add(number uint32, total, dead int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segs[number] = &Segment{Number: number, store: s, name: s.path(number), total: total, dead: dead}
	s.next = max(s.next, number+1)
}

// Sweep unlinks files that no counters' row names: nothing ever referred to
// them. It returns the numbers of segments whose file is missing.
func (s *Store) Sweep() (missing []uint32, err error) {
	found, err := s.files()
	if err != nil {
		return nil, err
	}
	for n := range found {
		s.next = max(s.next, n+1)
		if !s.known(n) {
			if err := s.fs.Remove(s.path(n)); err != nil {
				return nil, fmt.Errorf("unlink unused cold segment: %w", err)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.segs {
		if !found[n] {
			missing = append(missing, n)
			delete(s.segs, n)
		}
	}
	return missing, nil
}

// Adopt adds the files that no Add has told of, as if all in them were alive. It is
// for counters that cannot be read, and comes before Sweep.
func (s *Store) Adopt() error {
	found, err := s.files()
	if err != nil {
		return err
	}
	for n := range found {
		if s.known(n) {
			continue
		}
		info, err := s.fs.Stat(s.path(n))
		if err != nil {
			return fmt.Errorf("adopt cold segment: %w", err)
		}
		s.Add(n, max(info.Size()-headerLen, 0), 0)
	}
	return nil
}

// files returns the numbers of the segments that the folder holds.
func (s *Store) files() (map[uint32]bool, error) {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list cold folder: %w", err)
	}
	found := make(map[uint32]bool, len(names))
	for _, name := range names {
		base, ok := strings.CutSuffix(name, suffix)
		n, err := strconv.ParseUint(base, 10, 32)
		if ok && err == nil && s.path(uint32(n)) == s.fs.PathJoin(s.dir, name) {
			found[uint32(n)] = true
		}
	}
	return found, nil
}

func (s *Store) known(n uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.segs[n] != nil
}

func (s *Store) path(n uint32) string {
	return s.fs.PathJoin(s.dir, fmt.Sprintf("%08d%s", n, suffix))
}

// Append writes a text and returns where it begins. It is durable after Sync.
func (s *Store) Append(id mail.ID, text []byte, crc uint32) (segment uint32, off int64, err error) {
	if s.cur != nil && s.outLen+headLen+int64(len(text)) > s.bytes && s.outLen > headerLen {
		if err := s.seal(); err != nil {
			return 0, 0, err
		}
	}
	if s.cur == nil {
		if err := s.begin(); err != nil {
			return 0, 0, err
		}
	}
	s.buf = appendHead(s.buf, id, len(text), crc)
	off = s.outLen + headLen
	s.buf = append(s.buf, text...)
	n := int64(headLen + len(text))
	s.outLen += n
	s.unsaved = true
	s.mu.Lock()
	s.cur.total += n
	s.mu.Unlock()
	if len(s.buf) >= bufBytes {
		err = s.flush()
	}
	return s.cur.Number, off, err
}

func appendHead(dst []byte, id mail.ID, size int, crc uint32) []byte {
	at := len(dst)
	dst = append(dst, id[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(size))
	dst = binary.LittleEndian.AppendUint32(dst, crc)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	return binary.LittleEndian.AppendUint32(dst, record.Sum(dst[at:]))
}

func (s *Store) begin() error {
	g := &Segment{Number: s.next, store: s, name: s.path(s.next)}
	f, err := s.fs.Create(g.name, "postrider-cold")
	if err != nil {
		return fmt.Errorf("create cold segment: %w", err)
	}
	s.next++
	s.out, s.cur, s.outLen, s.fresh, s.unsaved = f, g, headerLen, true, true
	s.buf = append(s.buf[:0], version)
	s.buf = append(s.buf, magic...)
	s.buf = binary.LittleEndian.AppendUint32(s.buf, g.Number)
	s.buf = binary.LittleEndian.AppendUint32(s.buf, record.Sum(s.buf))
	s.mu.Lock()
	s.segs[g.Number] = g
	s.mu.Unlock()
	return nil
}

func (s *Store) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	_, err := s.out.Write(s.buf)
	s.buf = s.buf[:0]
	if err != nil {
		return fmt.Errorf("write cold segment: %w", err)
	}
	return nil
}

// Sync makes everything appended durable, and the names of new files.
func (s *Store) Sync() error {
	if s.cur == nil || !s.unsaved {
		return nil
	}
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.out.Sync(); err != nil {
		return fmt.Errorf("sync cold segment: %w", err)
	}
	s.unsaved = false
	if s.fresh {
		if err := SyncDir(s.fs, s.dir); err != nil {
			return err
		}
		s.fresh = false
	}
	return nil
}

// seal ends the current segment.
func (s *Store) seal() error {
	if err := s.Sync(); err != nil {
		return err
	}
	err := s.out.Close()
	s.out, s.cur = nil, nil
	if err != nil {
		return fmt.Errorf("close cold segment: %w", err)
	}
	return nil
}

// Close ends the current segment; segments in use stay readable.
func (s *Store) Close() error {
	if s.cur == nil {
		return nil
	}
	return s.seal()
}

// Kill counts a text of size bytes in a segment as dead.
func (s *Store) Kill(segment uint32, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.segs[segment]; g != nil {
		g.dead += headLen + size
	}
}

// Counters returns what the segment's row should say; ok is false when the
// segment is gone.
func (s *Store) Counters(segment uint32) (total, dead int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.segs[segment]
	if g == nil {
		return 0, 0, false
	}
	return g.total, g.dead, true
}

// LiveBytes returns the bytes of texts that are not dead, their heads included.
func (s *Store) LiveBytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := int64(0)
	for _, g := range s.segs {
		n += g.total - g.dead
	}
	return n
}

// Dead returns a sealed segment that is dead altogether, else one with less than
// half of its bytes alive and live > 0; ok is false when there is neither.
func (s *Store) Dead() (segment uint32, live int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, g := range s.segs {
		if g == s.cur {
			continue
		}
		if g.dead >= g.total {
			return n, 0, true
		}
		if 2*g.dead > g.total && !g.keep && (!ok || g.total-g.dead < live) {
			segment, live, ok = n, g.total-g.dead, true
		}
	}
	return segment, live, ok
}

// Keep exempts a segment from compaction for the life of the store.
func (s *Store) Keep(segment uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.segs[segment]; g != nil {
		g.keep = true
	}
}

// Remove unlinks a segment. Whoever has acquired it can go on reading.
func (s *Store) Remove(segment uint32) error {
	s.mu.Lock()
	g := s.segs[segment]
	delete(s.segs, segment)
	s.mu.Unlock()
	if g == nil {
		return nil
	}
	if err := s.fs.Remove(g.name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("unlink cold segment: %w", err)
	}
	return nil
}

// Acquire opens a segment for reading; Release gives it back. It returns
// os.ErrNotExist when the segment is gone: the text has moved.
func (s *Store) Acquire(segment uint32) (*Segment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.segs[segment]
	if g == nil {
		return nil, fmt.Errorf("cold segment %d: %w", segment, os.ErrNotExist)
	}
	if g.refs == 0 {
		f, err := s.fs.Open(g.name, vfs.RandomReadsOption)
		if err != nil {
			return nil, fmt.Errorf("open cold segment: %w", err)
		}
		g.file = f
	}
	g.refs++
	return g, nil
}

// Release gives back what Acquire returned.
func (g *Segment) Release() error {
	g.store.mu.Lock()
	defer g.store.mu.Unlock()
	if g.refs--; g.refs > 0 {
		return nil
	}
	f := g.file
	g.file = nil
	return f.Close()
}

// Walk calls f for each text of a sealed segment, in order, until the end of
// what total says was written. text is valid during the call.
func (s *Store) Walk(segment uint32, f func(id mail.ID, off int64, text []byte, crc uint32) error) error {
	g, err := s.Acquire(segment)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	defer func() { _ = g.Release() }() // opened for reading only
	var h [headerLen]byte
	if _, err := g.ReadAt(h[:], 0); err != nil {
		return fmt.Errorf("cold segment %d: %w: %w", segment, ErrDamaged, err)
	}
	if string(h[1:1+len(magic)]) != magic || binary.LittleEndian.Uint32(h[12:]) != record.Sum(h[:12]) {
		return fmt.Errorf("cold segment %d: header: %w", segment, ErrDamaged)
	}
	if h[0] > version {
		return fmt.Errorf("cold segment %d: %w", segment, ErrVersion)
	}
	total, _, _ := s.Counters(segment)
	var text []byte
	for off := int64(headerLen); off < headerLen+total; {
		var head [headLen]byte
		if _, err := g.ReadAt(head[:], off); err != nil {
			return fmt.Errorf("cold segment %d at %d: %w: %w", segment, off, ErrDamaged, err)
		}
		if binary.LittleEndian.Uint32(head[28:]) != record.Sum(head[:28]) {
			return fmt.Errorf("cold segment %d at %d: %w", segment, off, ErrDamaged)
		}
		n := int64(binary.LittleEndian.Uint32(head[16:]))
		if off+headLen+n > headerLen+total {
			return fmt.Errorf("cold segment %d at %d: %w", segment, off, ErrDamaged)
		}
		if int64(cap(text)) < n {
			text = make([]byte, n)
		}
		text = text[:n]
		if _, err := g.ReadAt(text, off+headLen); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("cold segment %d at %d: %w: %w", segment, off, ErrDamaged, err)
		}
		if err := f(mail.ID(head[:16]), off+headLen, text, binary.LittleEndian.Uint32(head[20:])); err != nil {
			return err
		}
		off += headLen + n
	}
	return nil
}

// SyncDir syncs a folder, so that the names in it are durable.
func SyncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("open folder to sync it: %w", err)
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}
