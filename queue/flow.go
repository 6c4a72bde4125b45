package queue

import "sync"

// flows numbers the names of flows while a bucket uses them. Number 0 is the flow
// without a name. Its lock is taken under Queue.mu, so that an Order may ask for a
// name.
type flows struct {
	mu      sync.RWMutex // guards following
	names   []flowName
	numbers map[string]uint32
	free    []uint32
}

type flowName struct {
	name string
	uses int // buckets
}

func newFlows() *flows {
	return &flows{names: make([]flowName, 1), numbers: make(map[string]uint32)}
}

// intern returns the number of a name. Until it is used, and as soon as it is
// unused by all, another name may get it.
func (f *flows) intern(name []byte) uint32 {
	if len(name) == 0 {
		return 0
	}
	f.mu.RLock()
	n, ok := f.numbers[string(name)]
	f.mu.RUnlock()
	if ok {
		return n
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if k := len(f.free); k > 0 {
		n = f.free[k-1]
		f.free = f.free[:k-1]
	} else {
		n = uint32(len(f.names))
		f.names = append(f.names, flowName{})
	}
	f.names[n] = flowName{name: string(name)}
	f.numbers[f.names[n].name] = n
	return n
}

func (f *flows) use(n uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names[n].uses++
}

func (f *flows) unuse(n uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := &f.names[n]
	if w.uses--; w.uses > 0 || n == 0 {
		return
	}
	delete(f.numbers, w.name)
	*w = flowName{}
	f.free = append(f.free, n)
}

func (f *flows) name(n uint32) string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if int(n) >= len(f.names) {
		return ""
	}
	return f.names[n].name
}

// FlowName returns the name of a flow's number, "" when nothing of it waits any
// more. It may be called under the queue's lock, by an Order.
func (q *Queue) FlowName(flow uint32) string { return q.flows.name(flow) }
