package mailbox_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery/mailbox"
)

// sound fails the test for everything that Fsck finds.
func sound(t *testing.T, s *mailbox.Store) {
	t.Helper()
	c, err := s.Fsck(t.Context(), true, func(f mailbox.Finding) { t.Errorf("fsck: %v", f) })
	if err != nil {
		t.Fatal(err)
	}
	if c.Accounts == 0 || c.Mailboxes == 0 {
		t.Errorf("fsck looked at nothing: %+v", c)
	}
}

// TestRebuild makes the index anew, after a lot has happened and been compacted, and
// with the old index still there or gone: what the store holds is the same, number by
// number.
func TestRebuild(t *testing.T) {
	for seed := range uint64(2) {
		o := quiet(small(vfs.NewMem()))
		s := open(t, o)
		a := newActor(t, s, 100+seed)
		for round := range 4 {
			for range 80 {
				if err := a.step(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.Compact(t.Context()); err != nil {
				t.Fatal(err)
			}
			sound(t, s)
			before := dump(t, s)
			closeStore(t, s)
			if round%2 == 0 {
				r, err := mailbox.Rebuild(t.Context(), o)
				if err != nil || !r.Complete() || r.Records == 0 || r.Accounts != 3 {
					t.Fatalf("%+v, %v", r, err)
				}
			} else if err := o.FS.RemoveAll("store/index"); err != nil {
				t.Fatal(err)
			}
			s = open(t, o)
			if after := dump(t, s); after != before {
				t.Fatalf("seed %d, round %d: the new index differs\n%s", seed, round, differ(before, after))
			}
			sound(t, s)
			a.s = s
			for i := range a.as {
				a.as[i] = account(t, s, fmt.Sprintf("u%d@example", i))
			}
		}
		closeStore(t, s)
	}
}

var validity = regexp.MustCompile(`UIDValidity:\d+`)

// TestBackup takes backups while mail arrives, changes, goes and is compacted. Each
// opens, is sound, holds what was acknowledged before it began, and has other
// UIDVALIDITYs; after a quiet moment it holds just what the store did.
func TestBackup(t *testing.T) {
	fs := vfs.NewMem()
	o := quiet(small(fs))
	s := open(t, o)
	a := newActor(t, s, 7)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for ctx.Err() == nil {
			if _, err := s.Compact(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	}()
	quietBox := box(t, account(t, s, "quiet@example"), "INBOX")
	kept := make(map[uint32]string)
	for round := range 5 {
		for i := range 60 {
			if err := a.step(t.Context()); err != nil {
				t.Fatal(err)
			}
			if i%6 == 0 {
				body := strings.Repeat(fmt.Sprintf("%d %d\n", round, i), 1+i*400)
				kept[deliver(t, s, body, quietBox)[0]] = body
			}
		}
		done := make(chan error)
		dir := fmt.Sprintf("backup%d", round)
		go func() { done <- s.Backup(t.Context(), dir) }()
		for range 30 {
			if err := a.step(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		c := o
		c.Dir = dir
		r := open(t, c)
		sound(t, r)
		m := box(t, account(t, r, "quiet@example"), "INBOX")
		if m.Status().UIDValidity <= quietBox.Status().UIDValidity {
			t.Error("the UIDVALIDITY is the same after a restore")
		}
		for uid, want := range kept {
			if content(t, m, uid) != want {
				t.Errorf("round %d: message %d differs", round, uid)
			}
		}
		uidValidity := m.Status().UIDValidity
		closeStore(t, r)
		r = open(t, c)
		if got := box(t, account(t, r, "quiet@example"), "INBOX").Status().UIDValidity; got != uidValidity {
			t.Errorf("UIDVALIDITY %d, after another start %d", uidValidity, got)
		}
		closeStore(t, r)
	}
	stop()
	wg.Wait()
	if err := s.Backup(t.Context(), "last"); err != nil {
		t.Fatal(err)
	}
	before := validity.ReplaceAllString(dump(t, s), "")
	closeStore(t, s)
	o.Dir = "last"
	s = open(t, o)
	if after := validity.ReplaceAllString(dump(t, s), ""); after != before {
		t.Errorf("the backup differs\n%s", differ(before, after))
	}
	closeStore(t, s)
}

// TestDamagedSegment flips a bit in a text: fsck names the message's text, a rebuild
// refuses, and one that salvages leaves the message out, names it, and gives the
// mailboxes another UIDVALIDITY.
func TestDamagedSegment(t *testing.T) {
	fs := vfs.NewMem()
	o := quiet(small(fs))
	s := open(t, o)
	m := box(t, account(t, s, "a@example"), "INBOX")
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range 40 {
		deliver(t, s, strings.Repeat(fmt.Sprintf("message %d\n", i), 1000+rng.IntN(500)), m)
	}
	old := m.Status()
	closeStore(t, s)
	f, err := fs.OpenReadWrite("store/log/log-00000000.seg", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0xff}, 100_000); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, o)
	var found []mailbox.Finding
	if _, err := s.Fsck(t.Context(), true, func(f mailbox.Finding) { found = append(found, f) }); err != nil || len(found) != 1 || found[0].Blob == 0 {
		t.Fatal(err, found)
	}
	if _, err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Stat("store/log/log-00000000.seg"); err != nil {
		t.Fatal("the damaged segment is gone", err)
	}
	closeStore(t, s)
	if _, err := mailbox.Rebuild(t.Context(), o); err == nil {
		t.Fatal("rebuilt from a damaged log")
	}
	s = open(t, o) // with the old index
	closeStore(t, s)
	o.Salvage = true
	r, err := mailbox.Rebuild(t.Context(), o)
	if err != nil || r.Complete() || len(r.Gaps) == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	o.Salvage = false
	s = open(t, o)
	sound(t, s)
	m = box(t, account(t, s, "a@example"), "INBOX")
	if now := m.Status(); now.Messages >= 40 || now.Messages < 35 || now.UIDValidity <= old.UIDValidity || now.UIDNext != old.UIDNext {
		t.Errorf("%+v became %+v", old, now)
	}
	closeStore(t, s)
}

// TestSalvage takes a segment away: the store is refused, and a salvage opens it with
// what there is, under other UIDVALIDITYs, for good.
func TestSalvage(t *testing.T) {
	fs := vfs.NewMem()
	o := quiet(small(fs))
	s := open(t, o)
	m := box(t, account(t, s, "a@example"), "INBOX")
	for i := range 60 {
		deliver(t, s, strings.Repeat(fmt.Sprintf("message %d\n", i), 1500), m)
	}
	old := m.Status()
	closeStore(t, s)
	if err := fs.Remove("store/log/log-00000001.seg"); err != nil {
		t.Fatal(err)
	}
	if _, err := mailbox.Open(o); !errors.Is(err, mailbox.ErrDamaged) {
		t.Fatal(err)
	}
	o.Salvage = true
	for range 2 {
		s = open(t, o)
		sound(t, s)
		m = box(t, account(t, s, "a@example"), "INBOX")
		now := m.Status()
		if now.Messages == 0 || now.Messages >= 60 || now.UIDValidity <= old.UIDValidity || now.UIDNext != old.UIDNext {
			t.Errorf("%+v became %+v", old, now)
		}
		closeStore(t, s)
		o.Salvage = false // it is sound now
	}
}

// TestRebuildNameTwice makes the index anew after an account was removed and made
// again: the name is that of the one that is there.
func TestRebuildNameTwice(t *testing.T) {
	o := quiet(small(vfs.NewMem()))
	s := open(t, o)
	deliver(t, s, "old\r\n", box(t, account(t, s, "a@example"), "INBOX"))
	if err := s.DeleteAccount(t.Context(), "a@example"); err != nil {
		t.Fatal(err)
	}
	a := account(t, s, "a@example")
	uid := deliver(t, s, "new\r\n", box(t, a, "INBOX"))[0]
	before, id := dump(t, s), a.ID()
	closeStore(t, s)
	if r, err := mailbox.Rebuild(t.Context(), o); err != nil || !r.Complete() || r.Accounts != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	s = open(t, o)
	if after := dump(t, s); after != before {
		t.Errorf("the new index differs\n%s", differ(before, after))
	}
	if a = account(t, s, "a@example"); a.ID() != id || content(t, box(t, a, "INBOX"), uid) != "new\r\n" {
		t.Errorf("account %d became %d", id, a.ID())
	}
	sound(t, s)
	closeStore(t, s)
}
