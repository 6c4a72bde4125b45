package schedule

// Buckets holds the links between the buckets of all orders of one queue. A bucket
// is in one order at a time, so one table by the bucket's number serves them all,
// and a bucket costs twelve bytes however many orders there are.
//
// It is guarded by what guards its orders.
type Buckets struct {
	pages []*[pageBuckets]node
}

const pageBuckets = 1024

// node is a bucket's place in the ring of its flow's line.
type node struct {
	next, prev uint32
	line       uint32 // flow's index << 3 | band << 1 | linked
}

const (
	linked    = 1
	bandShift = 1
	flowShift = 3
)

// NewBuckets returns an empty table.
func NewBuckets() *Buckets { return &Buckets{} }

// at returns the node of a bucket, which it makes on first use.
func (t *Buckets) at(bucket uint32) *node {
	page := int(bucket / pageBuckets)
	for page >= len(t.pages) {
		t.pages = append(t.pages, nil)
	}
	if t.pages[page] == nil {
		t.pages[page] = new([pageBuckets]node)
	}
	return &t.pages[page][bucket%pageBuckets]
}

// known is at without making anything; nil when the bucket was never seen.
func (t *Buckets) known(bucket uint32) *node {
	page := int(bucket / pageBuckets)
	if page >= len(t.pages) || t.pages[page] == nil {
		return nil
	}
	return &t.pages[page][bucket%pageBuckets]
}

// insert puts a bucket last in the ring that starts at head; alone when the ring
// is empty.
func (t *Buckets) insert(bucket uint32, n *node, head uint32, empty bool) {
	if empty {
		n.next, n.prev = bucket, bucket
		return
	}
	first := t.at(head)
	n.next, n.prev = head, first.prev
	t.at(first.prev).next = bucket
	first.prev = bucket
}

// remove takes a bucket out of its ring.
func (t *Buckets) remove(n *node) {
	t.at(n.prev).next = n.next
	t.at(n.next).prev = n.prev
}
