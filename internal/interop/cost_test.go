//go:build interop

package interop

import (
	"context"
	"strings"
	"testing"
	"time"

	"postrider/bench/cost"
	"postrider/bench/load"
	"postrider/bench/target"
)

// offer gives n messages of 4 KiB to a server, one command at a time, and returns
// how many it accepted. Each call has a run of its own.
func offer(ctx context.Context, address string, run uint64, n, conns int) (int64, error) {
	g, err := load.New(load.Options{
		Address: address, Conns: conns, Messages: int64(n), Strict: true, Run: run,
		Domains: load.DomainList("a.bench.test", "b.bench.test"),
	})
	if err != nil {
		return 0, err
	}
	return g.Run(ctx).Accepted, nil
}

// The durability class of real servers, by strace and SIGKILL. OpenSMTPD renames
// files into its queue and leaves it to the kernel when they reach the disk.
func TestDurabilityClass(t *testing.T) {
	for _, test := range []struct{ name, class string }{
		{"postrider", "D3"}, {"postfix", "D2"}, {"postfix:isp", "D2"}, {"exim", "D2"}, {"opensmtpd", "D1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, hop := ourSink(t)
			in := startTarget(t, test.name, target.Need{NextHop: hop, Suspended: true})
			var run uint64
			v, err := cost.Verify(t.Context(), cost.Server{
				Send: func(ctx context.Context, n, conns int) (int64, error) {
					run++
					return offer(ctx, in.SMTP(), run, n, conns)
				},
				Kill: in.Kill, Restart: in.Restart, Remaining: in.Queued,
				PIDs: func() ([]int, error) { return in.PIDs(), nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s is %s: %s", test.name, v.Class, v.By)
			if v.Class != test.class {
				t.Errorf("class %s, want %s", v.Class, test.class)
			}
		})
	}
}

// The figures of real servers, from accepting to delivering: they are there and
// they fit together.
func TestCost(t *testing.T) {
	for _, name := range relayTargets() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n, size = 400, 4096
			s, hop := ourSink(t)
			in := startTarget(t, name, target.Need{NextHop: hop, Suspended: true})
			meter, err := cost.OnDevice(in.Meter(), in.DataDir())
			if err != nil {
				t.Logf("no device: %v", err)
				meter = in.Meter()
			}
			empty, err := cost.DiskUsage(in.DataDir())
			if err != nil {
				t.Fatal(err)
			}
			before, err := meter.Sample()
			if err != nil {
				t.Fatal(err)
			}
			syncs, messages, err := cost.AuditSyncs(t.Context(),
				func() ([]int, error) { return in.PIDs(), nil },
				func(ctx context.Context) (int64, error) { return offer(ctx, in.SMTP(), 1, n, 8) })
			if err != nil {
				t.Fatal(err)
			}
			full, err := cost.DiskUsage(in.DataDir())
			if err != nil {
				t.Fatal(err)
			}
			if err := in.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			awaitMessages(t, s, n)
			after, err := meter.Sample()
			if err != nil {
				t.Fatal(err)
			}
			c := cost.Between(before, after, n, n*size)
			t.Logf("%s by %s: %.2f syncs a message, %d bytes on disk each, %+v", name, meter.By(),
				float64(syncs)/float64(messages), (full-empty)/n, c)
			if synced := !strings.HasPrefix(name, "opensmtpd"); messages != n || synced != (syncs > 0) {
				t.Errorf("%d syncs of %d messages", syncs, messages)
			}
			if c.MessagesPerCPUSecond <= 0 || c.RSSPeakBytes < 1<<20 || c.ContextSwitches == 0 || c.OpenFiles == 0 {
				t.Errorf("%+v", c)
			}
			// A queue may compress a message, and allocate as much ahead as it likes.
			if each := (full - empty) / n; each < size/4 {
				t.Errorf("%d bytes on disk for a message of %d", each, size)
			}
		})
	}
}

// The CPU of all that a real server of many processes uses is seen by its process
// tree too: never more than by its group.
func TestTreeAgreesWithGroup(t *testing.T) {
	s, hop := ourSink(t)
	in := startTarget(t, "postfix", target.Need{NextHop: hop})
	pids := in.PIDs()
	if len(pids) == 0 || in.Meter().By() == "process tree" {
		t.Fatalf("processes %v, by %s: this needs the right to make control groups", pids, in.Meter().By())
	}
	tree, err := cost.ProcessTree(pids[0])
	if err != nil {
		t.Fatal(err)
	}
	send(t, in.SMTP(), 300)
	awaitMessages(t, s, 300)
	byTree, err := tree.Sample()
	if err != nil {
		t.Fatal(err)
	}
	byGroup, err := in.Meter().Sample()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("by tree %v and %d bytes, by group %v and %d bytes", byTree.CPU(), byTree.RSSBytes, byGroup.CPU(), byGroup.RSSBytes)
	if byTree.CPU() <= 0 || byTree.CPU() > byGroup.CPU()+100*time.Millisecond {
		t.Errorf("by tree %v, by group %v", byTree.CPU(), byGroup.CPU())
	}
}
