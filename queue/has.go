package queue

import (
	"context"
	"encoding/binary"

	"postrider/internal/mail"
)

// Has reports whether a recipient of the message id has not ended. It waits until
// all that the queue held when it was opened is known, or ctx ends.
func (q *Queue) Has(ctx context.Context, id mail.ID) (bool, error) {
	select {
	case <-q.loaded:
	case <-q.stop:
		return false, ErrClosed
	case <-ctx.Done():
		return false, ctx.Err()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.index.Find(q.tb, id) != 0, nil
}

// Issued reports an id that this opening of the queue has issued.
func (q *Queue) Issued(id mail.ID) bool {
	return binary.BigEndian.Uint32(id[8:12]) == q.sp.Incarnation()
}
