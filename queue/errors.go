package queue

import "errors"

var (
	// ErrFull refuses a message for want of disk, memory or segments. It is
	// temporary; Healthy says what is short.
	ErrFull = errors.New("the queue has no room")
	// ErrClosed comes from a queue that was closed or met a fatal error.
	ErrClosed = errors.New("the queue is closed")
	// ErrLocked comes from Open when another process holds the folder.
	ErrLocked = errors.New("the queue is in use by another process")
	// ErrDamaged comes from Open when the store cannot vouch for its content.
	ErrDamaged = errors.New("the queue is damaged")
	// ErrVersion comes from Open when a newer program wrote the store.
	ErrVersion = errors.New("the queue was written by a newer version")
	// ErrNotFound comes from Body when no waiting message has the id.
	ErrNotFound = errors.New("no such message in the queue")
)
