package queue

import "postrider/queue/internal/table"

// Order decides which bucket of a lane is next. A bucket holds the recipients of
// one destination, flow and band; the queue takes its oldest message. All methods
// are called under the queue's lock, so they must be short and must not call the
// queue, FlowName excepted.
type Order interface {
	// Add tells of a bucket in which something got ready.
	Add(bucket, flow uint32, band uint8)
	// Remove tells that nothing in the bucket is ready any more.
	Remove(bucket uint32)
	// Next returns the bucket whose turn it is; false when none may be taken now.
	Next(nowMilli int64) (bucket uint32, ok bool)
	// Took tells what was leased from a bucket that Next has named, before that is
	// removed if it is empty. bytes is 0 when the size is not known: of a message
	// that was tried before.
	Took(bucket uint32, bytes int64, recipients int)
	// Done tells that a lease that Took has told of has ended.
	Done(flow uint32)
}

// opener is what an Order has that holds buckets back until a time: NextAt tells
// when the next opens, in Unix milliseconds; 0: nothing waits for a time.
type opener interface {
	NextAt(nowMilli int64) int64
}

// addLocked enters a bucket that has got something ready.
func (l *Lane) addLocked(i uint32, b *table.Bucket) {
	l.ring.Push(l.q.bk, i)
	if l.order != nil {
		l.order.Add(i, b.Flow, b.Band)
	}
}

// removeLocked takes out a bucket in which nothing is ready.
func (l *Lane) removeLocked(i uint32) {
	l.ring.Remove(l.q.bk, i)
	if l.order != nil {
		l.order.Remove(i)
	}
}

// With calls f with the lane's Order under the queue's lock, and lets those who wait
// for a job look again. It does nothing for a lane without one. f must not call the
// queue.
func (l *Lane) With(f func(Order)) {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	if l.order == nil {
		return
	}
	f(l.order)
	for l.ready > 0 && l.wakeLocked() {
	}
}

// doneLocked tells the order that a lease of flow has ended, which may let others
// of the flow have their turn.
func (l *Lane) doneLocked(flow uint32) {
	if l.order == nil {
		return
	}
	l.order.Done(flow)
	if l.ready > 0 {
		l.wakeLocked()
	}
}
