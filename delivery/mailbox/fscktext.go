package mailbox

import (
	"fmt"

	"postrider/delivery/mailbox/internal/rows"
	"postrider/internal/spool/frame"
)

// reaping counts the messages of deleted mailboxes that still are to go.
func (c *checker) reaping() error {
	return scan(c.snap, []byte{rows.PrefixReap}, func(key, _ []byte) (bool, error) {
		a, m := rows.Box(key)
		var e rows.Entry
		return true, scan(c.snap, rows.EntryKey(nil, a, m, 0)[:9], func(_, v []byte) (bool, error) {
			if rows.ParseEntry(v, &e) == nil {
				c.refs[e.Blob]++
				c.dying[e.Blob]++
			}
			return true, nil
		})
	})
}

func (c *checker) blobs(texts bool) error {
	return scan(c.snap, []byte{rows.PrefixBlob}, func(key, v []byte) (bool, error) {
		var b rows.Blob
		id := rows.BlobID(key)
		if err := rows.ParseBlob(v, &b); err != nil {
			c.report(Finding{Blob: id, What: "its row cannot be read"})
			return true, nil
		}
		c.Texts++
		if !b.Large {
			c.live[b.Gen] += b.Size
		}
		if n := c.refs[id]; n != b.Refs {
			c.report(Finding{Blob: id, What: fmt.Sprintf("says that %d messages share it; %d do", b.Refs, n)})
		}
		// One that only deleted mailboxes need may have gone before their rows: a crash,
		// or an index made anew, brings those back for a while.
		if texts && c.refs[id] > c.dying[id] {
			c.text(id, &b)
		}
		return true, c.ctx.Err()
	})
}

// text reads a text. One that has moved since is looked for where it is now, one that
// has gone is not.
func (c *checker) text(id uint64, b *rows.Blob) {
	m := Message{s: c.s}
	if err := m.openBlob(id); err != nil {
		if gone, gerr := get(c.s.db, rows.BlobKey(nil, id), func([]byte) error { return nil }); gerr == nil && !gone {
			return
		}
		c.report(Finding{Blob: id, What: fmt.Sprintf("cannot be opened: %v", err)})
		return
	}
	defer m.close()
	if c.buf == nil {
		c.buf = make([]byte, copyBytes)
	}
	sum, off := uint32(0), int64(0)
	for off < m.blob.Size {
		n, err := m.readText(c.buf, off)
		if n == 0 {
			c.report(Finding{Blob: id, What: fmt.Sprintf("ends after %d of %d bytes: %v", off, m.blob.Size, err)})
			return
		}
		sum = frame.UpdateSum(sum, c.buf[:n])
		off += int64(n)
	}
	c.TextBytes += off
	if sum != b.CRC {
		c.report(Finding{Blob: id, What: "does not match its checksum"})
	}
}

// close gives back what openBlob holds.
func (m *Message) close() {
	if m.file != nil {
		_ = m.file.Close() // it was only read
		m.file = nil
	}
	if m.pinned {
		m.s.log.Unpin(m.blob.Gen)
		m.pinned = false
	}
}

// segments checks how much lives in each segment.
func (c *checker) segments() error {
	err := scan(c.snap, []byte{rows.PrefixLive}, func(key, v []byte) (bool, error) {
		gen := rows.BlobID(key)
		n, err := rows.ParseCount(v)
		if err != nil {
			return false, err
		}
		if n != c.live[gen] {
			c.report(Finding{What: fmt.Sprintf("segment %d: %d bytes live in it, not %d", gen, c.live[gen], n)})
		}
		delete(c.live, gen)
		return true, nil
	})
	for gen, n := range c.live {
		if n != 0 {
			c.report(Finding{What: fmt.Sprintf("segment %d: %d bytes live in it, not 0", gen, n)})
		}
	}
	return err
}
