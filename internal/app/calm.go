package app

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The collector lets the heap grow to twice what is in use and keeps that room. After
// ten thousand clients have logged in, and then wait, it is as much as they themselves
// take. While little is allocated the room is of no use, so it goes back to the system.
const (
	calmEvery = 20 * time.Second // looks
	calmBytes = 16 << 20         // allocated between two looks at most
	spareMost = 32 << 20         // room that is left alone
)

// room is the state of the heap, in bytes.
type room struct {
	allocated uint64 // since the start
	spare     uint64 // free or no longer in use, and not given back
}

// tidy gives memory back while it is calm, until ctx ends.
func tidy(ctx context.Context) {
	tick := time.NewTicker(calmEvery)
	defer tick.Stop()
	for before := readRoom(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := readRoom()
		if calm(before, now) {
			debug.FreeOSMemory()
		}
		before = now
	}
}

// calm reports that little happens and much is spare.
func calm(before, now room) bool {
	return now.allocated-before.allocated <= calmBytes && now.spare > spareMost
}

// readRoom asks the runtime.
func readRoom() room {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	allocated, live := samples[0].Value.Uint64(), samples[1].Value.Uint64()
	objects, free := samples[2].Value.Uint64(), samples[3].Value.Uint64()
	return room{allocated: allocated, spare: free + max(objects, live) - live}
}
