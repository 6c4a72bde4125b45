package pop3

import (
	"context"
	"errors"
	"io"
	"iter"
	"math/bits"
)

// Maildrop is what one session sees of a user's mail: the messages that were there
// when it was opened, numbered from 0 in an order that never changes. Its methods
// are called by one goroutine.
type Maildrop interface {
	// Stat returns how many messages there are and the size of all of them. It is
	// what most sessions ask for and nothing else, and need not look at messages: if
	// somebody removes some before the first other call, that may find fewer.
	Stat() (messages int, bytes int64, err error)
	// Len is the number of messages, and stays so for the session.
	Len() (int, error)
	// Size is that of message i: its octets with each line ended by CRLF.
	Size(i int) (int64, error)
	// AppendUID appends the unique-id of message i (RFC 1939 section 7).
	AppendUID(dst []byte, i int) ([]byte, error)
	// Scan calls each with the messages from number i on that are still there, until
	// it returns false. Of Meta only what is asked for is set, and valid until each
	// returns.
	Scan(i int, what Listed, each func(i int, m Meta) bool) error
	// Text opens message i; the one that was opened before must have been released.
	// The error is ErrGone when somebody else has removed it.
	Text(i int) (Text, error)
	// Update removes messages and marks others as seen. It returns when both are
	// durable; those that are gone already are no error.
	Update(ctx context.Context, removed, seen Marks) error
	// Close says that the session is over.
	Close()
}

// Listed says what a listing is about.
type Listed uint8

// The listings.
const (
	ListedSize Listed = iota
	ListedUID
)

// Meta is what a listing says of a message.
type Meta struct {
	Size int64
	UID  []byte
}

// Text is a message that is being read.
type Text interface {
	Size() int64
	// WriteTo writes all of it. An error before the last piece says that what was
	// written is not the message, as when it does not match its checksum.
	io.WriterTo
	// Release gives it back.
	Release()
}

// Errors of Options.Open and of a Maildrop.
var (
	ErrGone  = errors.New("message was removed by another session")
	ErrInUse = errors.New("maildrop is in use")
)

// Marks is a set of message numbers, from 0. The zero Marks is empty.
type Marks []uint64

// Has reports whether i is in the set.
func (m Marks) Has(i int) bool { return i/64 < len(m) && m[i/64]&(1<<(i%64)) != 0 }

// All returns the numbers in their order.
func (m Marks) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for w, word := range m {
			for ; word != 0; word &= word - 1 {
				if !yield(w*64 + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}

// Count returns how many there are.
func (m Marks) Count() int {
	n := 0
	for _, word := range m {
		n += bits.OnesCount64(word)
	}
	return n
}

// set adds i to a set that may come to hold numbers below n.
func (m *Marks) set(i, n int) {
	if *m == nil {
		*m = make(Marks, (n+63)/64)
	}
	(*m)[i/64] |= 1 << (i % 64)
}
