package sink_test

import (
	"testing"
	"time"

	"postrider/bench/sink"
)

// A farm that holds answers no MAIL until it is released, or has held long enough.
func TestHold(t *testing.T) {
	f := startFarm(t, sink.FarmOptions{Front: "127.0.0.1:0"})
	for _, c := range []struct {
		most time.Duration
		call bool
	}{{time.Hour, true}, {20 * time.Millisecond, false}} {
		d := dial(t, f.FrontAddr())
		if got := d.reply() + " " + d.say("EHLO x"); got != "220 250" {
			t.Fatalf("greeted with %s", got)
		}
		began := time.Now()
		release := f.Hold(c.most)
		if c.call {
			time.AfterFunc(20*time.Millisecond, release)
		}
		if got := d.say("MAIL FROM:<a@b.test>"); got != "250" || time.Since(began) < 20*time.Millisecond {
			t.Errorf("at most %v: %s after %v", c.most, got, time.Since(began))
		}
		release()
	}
}
