package target

import (
	"errors"
	"os"
	"strconv"
	"testing"
)

func TestDirect(t *testing.T) {
	s, hop := receiver(t)
	in := start(t, "direct", Options{}, Need{NextHop: hop})
	send(t, in.SMTP(), 10)
	if n := s.Counts().Messages; n != 10 {
		t.Errorf("%d messages came", n)
	}
	if n, err := in.Queued(t.Context()); n != 0 || err != nil {
		t.Errorf("queued %d, %v", n, err)
	}
	for what, err := range map[string]error{
		"kill": in.Kill(t.Context()), "restart": in.Restart(t.Context()),
		"reload": in.Reload(t.Context()), "resume": in.Resume(t.Context()),
	} {
		if !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := in.Meter().Sample(); !errors.Is(err, ErrUnsupported) {
		t.Errorf("meter: %v", err)
	}
}

// A server of somebody else's: here, this process.
func TestExternal(t *testing.T) {
	_, hop := receiver(t)
	tg, err := Parse("external:smtp="+hop+",pid="+strconv.Itoa(os.Getpid())+",class=D1,name=mine,version=7", Options{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := tg.Start(t.Context(), Need{})
	if err != nil {
		t.Fatal(err)
	}
	info := in.Info()
	if info.Name != "mine" || info.Version != "7" || info.Class != "D1" || info.ClassBy != "claimed by its owner" {
		t.Errorf("%+v", info)
	}
	if sample, err := in.Meter().Sample(); err != nil || sample.CPU() == 0 {
		t.Errorf("%+v, %v", sample, err)
	}
	if len(in.PIDs()) == 0 {
		t.Error("no processes")
	}
	if _, err := in.Queued(t.Context()); !errors.Is(err, ErrUnsupported) {
		t.Errorf("queued: %v", err)
	}
	if err := in.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := tg.Start(t.Context(), Need{Suspended: true}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("suspended: %v", err)
	}
}
