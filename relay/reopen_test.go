package relay

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/mail"
)

// slowFS syncs what it creates slowly, so that DNS answers before what is bound by
// the opening of a queue is on the disk.
type slowFS struct{ vfs.FS }

type slowFile struct{ vfs.File }

func (s slowFS) Create(name string, k vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.Create(name, k)
	return slowFile{f}, err
}

func (f slowFile) Sync() error {
	time.Sleep(20 * time.Millisecond)
	return f.File.Sync()
}

func (f slowFile) SyncData() error {
	time.Sleep(20 * time.Millisecond)
	return f.File.SyncData()
}

// After a crash DNS answers for the domains of a queue that is still being opened.
func TestDNSIsFasterThanTheOpening(t *testing.T) {
	mx := &fakeMX{
		reach:  func(netip.Addr) mail.Status { return mail.NewStatus(451, 4, 4, 1, "no connection") },
		answer: func(netip.Addr, *mail.Delivery) mail.Status { return handedOver },
	}
	const n = 200
	fs := vfs.NewCrashableMem()
	var crashed vfs.FS
	t.Run("before the crash", func(t *testing.T) {
		w := newRelayWorld(t, 1, mx, func(o *Options) { o.Queue.FS = fs })
		for i := range n {
			w.accept(t, "u@c.s9.example", fmt.Sprintf("r@d%d.s%d.example", i, i%4))
		}
		crashed = fs.CrashClone(vfs.CrashCloneCfg{})
	})
	mx.reach = reachable
	w := newRelayWorld(t, 1, mx, func(o *Options) { o.Queue.FS = slowFS{crashed} })
	for deadline := time.Now().Add(30 * time.Second); w.e.Ledger().Queued > 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if l := w.e.Ledger(); l.Queued != 0 {
		t.Errorf("%+v", l)
	}
}
