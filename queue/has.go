package queue

import (
	"context"

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
