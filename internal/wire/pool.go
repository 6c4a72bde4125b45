package wire

import "sync"

// Sizes of the buffers that connections borrow.
const (
	// BufferSize is the input buffer of a connection, and with it the longest
	// line that any protocol can ask of it.
	BufferSize = 16 << 10
	// BulkInputSize is the input buffer while a long text streams in, and the longest
	// command that a protocol with long ones can ask of it (see Conn.Widen).
	BulkInputSize = 64 << 10
	bulkSize      = BulkInputSize
	// outputSize bounds the replies that wait to be written.
	outputSize = 4 << 10
	// BulkRoomSize bounds a long answer, a text above all, that waits to be written.
	BulkRoomSize = 32 << 10
)

// pools lends buffers by size. A buffer is lent by get and comes back with put,
// after which its borrower must not touch it.
type pools struct{ input, bulk, output, wide sync.Pool }

func (p *pools) get(size int) []byte {
	switch size {
	case BufferSize:
		if b, ok := p.input.Get().(*[BufferSize]byte); ok {
			return b[:]
		}
	case bulkSize:
		if b, ok := p.bulk.Get().(*[bulkSize]byte); ok {
			return b[:]
		}
	case BulkRoomSize:
		if b, ok := p.wide.Get().(*[BulkRoomSize]byte); ok {
			return b[:]
		}
	case outputSize:
		if b, ok := p.output.Get().(*[outputSize]byte); ok {
			return b[:]
		}
	}
	return make([]byte, size)
}

func (p *pools) put(b []byte) {
	b = b[:cap(b)]
	switch len(b) {
	case BufferSize:
		p.input.Put((*[BufferSize]byte)(b))
	case bulkSize:
		p.bulk.Put((*[bulkSize]byte)(b))
	case BulkRoomSize:
		p.wide.Put((*[BulkRoomSize]byte)(b))
	case outputSize:
		p.output.Put((*[outputSize]byte)(b))
	}
}
