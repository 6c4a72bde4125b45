package app_test

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/bench/load"
	"postrider/bench/sink"
	"postrider/internal/invariants"
	"postrider/queue"
)

// pass sends n messages of 4 KiB over 64 connections and waits until h has got
// them all.
func pass(t *testing.T, a *appliance, h *hop, n int64) load.Result {
	t.Helper()
	had := h.Counts().Messages
	g, err := load.New(load.Options{Address: a.Addresses()[0], Conns: 64, Messages: n})
	if err != nil {
		t.Fatal(err)
	}
	r := g.Run(context.Background())
	if r.Accepted != n {
		t.Fatalf("%d of %d accepted: %+v", r.Accepted, n, r)
	}
	await(t, "the next hop to have all", func() bool { return h.Counts().Messages == had+n })
	return r
}

const cheapLimits = "[limits]\nconnections_per_client = 100\n"

// From socket to socket, through queue and event log, a message costs at most two
// allocations. The generator and the next hop are in this process, and theirs are
// among them.
func TestPassageAllocates(t *testing.T) {
	if raceEnabled || invariants.Enabled {
		return // pools drop at random, and checks allocate: there is no steady state
	}
	h := newHop(t, sink.Options{})
	a := start(t, relayListener+cheapLimits+route("*", "smtp:"+h.addr))
	pass(t, a, h, 10_000)
	const n = 10_000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	pass(t, a, h, n)
	runtime.ReadMemStats(&after)
	each := float64(after.Mallocs-before.Mallocs) / n
	t.Logf("%.2f allocations a message", each)
	if each > 2 {
		t.Errorf("%.2f allocations a message, at most 2 are allowed", each)
	}
}

// When a sync takes five milliseconds, 64 clients share it: ten messages or more
// come to one sync of the queue, its rows included.
// Covers Q2.
func TestSyncsAreShared(t *testing.T) {
	var syncs atomic.Int64
	slow := errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			syncs.Add(1)
			if strings.HasSuffix(op.Path, ".seg") {
				<-time.After(5 * time.Millisecond)
			}
		}
		return nil
	})
	h := newHop(t, sink.Options{})
	dir := t.TempDir()
	file := configure(t, dir, relayListener+cheapLimits+route("*", "smtp:"+h.addr))
	a := startIn(t, dir, file, func(o *queue.Options) { o.FS = errorfs.Wrap(vfs.Default, slow) })
	pass(t, a, h, 500)
	const n = 2000
	before := syncs.Load()
	r := pass(t, a, h, n)
	each := float64(syncs.Load()-before) / n
	t.Logf("%.3f syncs a message, %.0f messages a second", each, r.Rate())
	if each > 0.1 {
		t.Errorf("%.3f syncs a message, at most 0.1 are allowed", each)
	}
}
