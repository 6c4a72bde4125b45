package imap_test

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/access/imap/imaptest"
	"postrider/delivery/mailbox"
)

// What a session was told as done (UIDs of APPEND, COPY and MOVE, flags of STORE, what
// was expunged) is there after a crash at any moment, and what is there is whole.
//
// Covers HI10.
func TestCrash(t *testing.T) {
	const seed, cuts, between = 3, 5, 150
	rng := rand.New(rand.NewPCG(seed, 9))
	fs := vfs.NewCrashableMem()
	ledger := imaptest.NewLedger()
	options := func(h *house) *imaptest.Options {
		dial := h.serve()
		return &imaptest.Options{
			Dial: func() (net.Conn, error) { return dial(), nil },
			User: "user", Password: password, Boxes: boxes(), Sessions: 4, Seed: seed, Ledger: ledger,
		}
	}
	h := newHouseOn(t, fs)
	o := options(h)
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	var work sync.WaitGroup
	work.Go(func() {
		if _, err := imaptest.Stress(ctx, o); err != nil {
			t.Error(err)
		}
	})
	type cut struct {
		fs       vfs.FS
		from, to int64
	}
	var all []cut
	for range cuts {
		_, given := ledger.Counts()
		for want := given + between + rng.IntN(between); given < want && ctx.Err() == nil && !t.Failed(); _, given = ledger.Counts() {
			time.Sleep(time.Millisecond)
		}
		c := cut{from: ledger.Now()}
		c.fs = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		c.to = ledger.Now()
		all = append(all, c)
	}
	if ctx.Err() != nil {
		t.Error("too little was acknowledged")
	}
	stop()
	work.Wait()
	for i, c := range all {
		after := newHouseOn(t, c.fs)
		if err := imaptest.Inspect(options(after), c.from, c.to); err != nil {
			t.Errorf("crash %d: %v", i, err)
		}
		_, err := after.store.Fsck(context.Background(), true, func(f mailbox.Finding) { t.Errorf("crash %d: %v", i, f) })
		if err != nil {
			t.Error(err)
		}
	}
}
