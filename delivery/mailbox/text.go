package mailbox

import (
	"fmt"
	"io"
	"math"

	"github.com/valyala/bytebufferpool"

	"postrider/delivery/mailbox/internal/record"
	"postrider/internal/bufpool"
	"postrider/internal/spool/frame"
)

// text is a Delivery's text, ready for its record.
type text struct {
	blob  record.Blob
	bytes []byte                     // inline
	sum   uint32                     // of bytes
	buf   *bytebufferpool.ByteBuffer // that bytes are in, when they are ours
	file  *largeFile                 // made here, to be removed when nothing is filed
	draft *Draft                     // that the file is of
}

// text makes a text ready: inline when it is small and the only one.
func (f *filing) text(d *Delivery, t *text) error {
	size := d.Text.Size()
	if size > math.MaxUint32-math.MaxUint16 {
		return ErrTooLarge
	}
	if b, ok := d.Text.(*draftBody); ok && b.large != nil && !b.filed {
		t.draft = (*Draft)(b)
		t.blob = record.Blob{ID: b.large.blob, Size: b.large.size, CRC: b.large.crc, Where: record.Large}
		return nil
	}
	if size > int64(f.s.o.LargeBytes) || len(f.ds) > 1 {
		l, err := f.s.copyLarge(d.Text.Reader())
		if err != nil {
			return err
		}
		t.file = l
		t.blob = record.Blob{ID: l.blob, Size: l.size, CRC: l.crc, Where: record.Large}
		return nil
	}
	if t.bytes = d.Text.Bytes(); t.bytes == nil && size > 0 {
		t.buf = bufpool.Get(int(size))
		t.bytes = t.buf.B[:size]
		if _, err := io.ReadFull(d.Text.Reader(), t.bytes); err != nil {
			return fmt.Errorf("read text: %w", err)
		}
	}
	t.sum = frame.Sum(t.bytes)
	t.blob = record.Blob{ID: f.s.nextBlob(), Size: int64(len(t.bytes)), CRC: t.sum}
	return nil
}
