package queue

import (
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/spool"
)

// The doubt of the clock survives a power cut; what is no such record is refused.
func TestDoubtIsKept(t *testing.T) {
	fs := vfs.NewCrashableMem()
	q := open(t, fs)
	if d, err := q.Doubted(); d != nil || err != nil || !q.LastTime().IsZero() {
		t.Errorf("a new queue: %v, %v, last time %v", d, err, q.LastTime())
	}
	want := Doubt{Since: time.UnixMicro(1_700_000_000_000_123), Believed: time.UnixMicro(1_600_000_000_000_321)}
	if err := q.SetDoubt(want); err != nil {
		t.Fatal(err)
	}
	q2 := open(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	if d, err := q2.Doubted(); err != nil || d == nil || *d != want {
		t.Errorf("%+v, %v", d, err)
	}
	if q2.LastTime().IsZero() {
		t.Error("no time is on record")
	}
	if err := errors.Join(q2.NoDoubt(), q2.NoDoubt()); err != nil {
		t.Error(err)
	}
	if d, err := q2.Doubted(); d != nil || err != nil {
		t.Errorf("%+v, %v", d, err)
	}
	for text, want := range map[string]error{"2 1 1\n": ErrVersion, "1 1\n": ErrDamaged, "1 x 1\n": ErrDamaged, "": ErrDamaged} {
		if err := spool.ReplaceFile(fs, "q", doubtName, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := q.Doubted(); !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := errors.Join(q.Close(t.Context()), q2.Close(t.Context())); err != nil {
		t.Error(err)
	}
}
