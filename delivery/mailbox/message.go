package mailbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox/internal/rows"
	"postrider/internal/bufpool"
	"postrider/internal/mail"
	"postrider/internal/spool/frame"
)

// Message is an opened message: its memory is used again when it is opened again
// after Release. It belongs to one goroutine at a time.
type Message struct {
	Meta
	s      *Store
	prefix []byte
	blob   rows.Blob
	file   vfs.File // of a large text
	pinned bool
	keyBuf []byte
}

// Message opens the message with this UID: ErrNoMessage when it is gone. Release
// gives it back.
func (v *View) Message(uid uint32, m *Message) error { return v.m.Message(uid, m) }

// Message opens the message with this UID: ErrNoMessage when it is gone. Release
// gives it back.
func (mb *Mailbox) Message(uid uint32, m *Message) error {
	s := mb.a.s
	if err := s.begin(); err != nil {
		return err
	}
	m.s = s
	err := mb.open(uid, m)
	if err != nil {
		m.s = nil
		s.leave()
	}
	return err
}

func (mb *Mailbox) open(uid uint32, m *Message) error {
	var row rows.Entry
	m.keyBuf = rows.EntryKey(m.keyBuf[:0], mb.a.id, mb.id, uid)
	v, closer, err := m.s.row(m.keyBuf)
	if err != nil {
		return err
	}
	err = rows.ParseEntry(v, &row)
	if err = errors.Join(err, closer.Close()); err != nil {
		return indexError("read message", err)
	}
	m.set(uid, &row)
	if m.prefix = m.prefix[:0]; row.PrefixLen > 0 {
		m.keyBuf = rows.HeadKey(m.keyBuf[:0], mb.a.id, mb.id, uid)
		if v, closer, err = m.s.row(m.keyBuf); err != nil {
			return err
		}
		p, _, err := rows.ParseHead(v)
		m.prefix = append(m.prefix, p...)
		if err = errors.Join(err, closer.Close()); err != nil {
			return indexError("read message", err)
		}
	}
	return m.openBlob(row.Blob)
}

// row reads a row; ErrNoMessage when there is none.
func (s *Store) row(key []byte) ([]byte, io.Closer, error) {
	v, closer, err := s.db.Get(key)
	switch {
	case err == nil:
		return v, closer, nil
	case isNotFound(err):
		return nil, nil, ErrNoMessage
	}
	return nil, nil, indexError("read message", err)
}

// openBlob finds the text and keeps it from going.
func (m *Message) openBlob(blob uint64) error {
	for last := uint64(0); ; {
		m.keyBuf = rows.BlobKey(m.keyBuf[:0], blob)
		v, closer, err := m.s.row(m.keyBuf)
		if err != nil {
			return err
		}
		err = rows.ParseBlob(v, &m.blob)
		if err = errors.Join(err, closer.Close()); err != nil {
			return indexError("read text's place", err)
		}
		if held, err := m.hold(blob); held || err != nil {
			return err
		}
		// It was copied elsewhere between the two: its row says where.
		if m.blob.Gen == last {
			return fmt.Errorf("%w: segment %d is missing", ErrDamaged, last)
		}
		last = m.blob.Gen
	}
}

// hold keeps the text from going, where m.blob says that it is. It reports false when it
// is there no longer.
func (m *Message) hold(blob uint64) (bool, error) {
	if !m.blob.Large {
		m.pinned = m.s.log.Pin(m.blob.Gen)
		return m.pinned, nil
	}
	var err error
	m.file, err = m.s.fs.Open(m.s.largePath(blob))
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNoMessage
	}
	return err == nil, err
}

// Prefix is what stands before the text for this recipient alone. It is valid until
// Release.
func (m *Message) Prefix() []byte { return m.prefix }

// Size is that of the prefix and the text.
func (m *Message) Size() int64 { return int64(len(m.prefix)) + m.blob.Size }

// ReadAt reads from the prefix and the text. It does not verify.
func (m *Message) ReadAt(p []byte, off int64) (int, error) {
	if m.s == nil {
		return 0, ErrClosed
	}
	n := 0
	if off < int64(len(m.prefix)) {
		n = copy(p, m.prefix[off:])
		if n == len(p) {
			return n, nil
		}
	}
	k, err := m.readText(p[n:], max(off-int64(len(m.prefix)), 0))
	return n + k, err
}

// readText reads from the text alone.
func (m *Message) readText(p []byte, off int64) (int, error) {
	short := false
	if left := m.blob.Size - off; int64(len(p)) > left {
		if left <= 0 {
			return 0, io.EOF
		}
		p, short = p[:left], true
	}
	var n int
	var err error
	if m.file != nil {
		n, err = m.file.ReadAt(p, off)
	} else {
		n, err = m.s.log.ReadAt(p, m.blob.Gen, m.blob.Off+off)
	}
	if n == len(p) {
		if err = nil; short {
			err = io.EOF
		}
	}
	return n, err
}

// copyBytes is how much of a text is read at once.
const copyBytes = 64 << 10

// WriteTo writes the prefix and the text, and returns mail.ErrCorrupt before the
// last piece of it when the text does not match its checksum.
func (m *Message) WriteTo(w io.Writer) (int64, error) {
	if m.s == nil {
		return 0, ErrClosed
	}
	var written int64
	prefix := m.prefix // written once some of the text was read, so that an error comes before it
	if m.blob.Size == 0 {
		n, err := w.Write(prefix)
		return int64(n), err
	}
	buf := bufpool.Get(int(min(m.blob.Size, copyBytes)))
	defer bufpool.Put(buf)
	p := buf.B[:min(int64(cap(buf.B)), max(m.blob.Size, 1))]
	sum := uint32(0)
	for off := int64(0); off < m.blob.Size; {
		n, err := m.readText(p, off)
		if n == 0 {
			return written, errors.Join(mail.ErrCorrupt, err)
		}
		off += int64(n)
		if sum = frame.UpdateSum(sum, p[:n]); off == m.blob.Size && sum != m.blob.CRC {
			return written, mail.ErrCorrupt
		}
		for _, piece := range [...][]byte{prefix, p[:n]} {
			if len(piece) == 0 {
				continue
			}
			k, err := w.Write(piece)
			if written += int64(k); err != nil {
				return written, err
			}
		}
		prefix = nil
	}
	return written, nil
}

// Append appends the prefix and the text, which are to be short: they are held. When
// the text does not match its checksum it returns mail.ErrCorrupt and dst as it was.
func (m *Message) Append(dst []byte) ([]byte, error) {
	if m.s == nil {
		return dst, ErrClosed
	}
	start, size := len(dst), int(m.blob.Size)
	out := slices.Grow(dst, len(m.prefix)+size)
	out = append(out, m.prefix...)
	at := len(out)
	out = out[:at+size]
	for n := 0; n < size; {
		k, err := m.readText(out[at+n:], int64(n))
		if n += k; k == 0 {
			return dst[:start], errors.Join(mail.ErrCorrupt, err)
		}
	}
	if frame.UpdateSum(0, out[at:]) != m.blob.CRC {
		return dst[:start], mail.ErrCorrupt
	}
	return out, nil
}

// Release unpins the message.
func (m *Message) Release() {
	if m.s == nil {
		return
	}
	m.close()
	m.s.leave()
	m.s = nil
}
