package cost

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// tired is a Meter of a server that works for some samples and then rests.
type tired struct {
	work   int
	cpu    time.Duration // a sample, while it works
	writes int64
	by     string
	sample Sample
	err    error
}

func (m *tired) By() string { return "test" }

func (m *tired) Sample() (Sample, error) {
	if m.work > 0 {
		m.work--
		m.sample.User += m.cpu
		m.sample.WrittenBytes += m.writes
	}
	m.sample.WrittenBy = m.by
	return m.sample, m.err
}

func TestAwaitIdle(t *testing.T) {
	broken := errors.New("broken")
	for _, test := range []struct {
		name  string
		meter tired
		want  bool
		after time.Duration
		err   error
	}{
		{"at rest", tired{}, true, idleWindow, nil},
		{"works for a second", tired{work: 4, cpu: 100 * time.Millisecond}, true, 4 * idleWindow, nil},
		{"works a little", tired{work: 1000, cpu: 10 * time.Millisecond}, true, idleWindow, nil},
		{"writes without working", tired{work: 4, writes: 1}, true, 4 * idleWindow, nil},
		{"others write", tired{work: 1000, writes: 1, by: "device"}, true, idleWindow, nil},
		{"never rests", tired{work: 1 << 30, cpu: time.Second}, false, 10*time.Second + time.Millisecond, nil},
		{"cannot be read", tired{err: broken}, false, 0, broken},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				got, err := AwaitIdle(t.Context(), &test.meter, 10*time.Second+time.Millisecond)
				if got != test.want || time.Since(began) != test.after || !errors.Is(err, test.err) {
					t.Errorf("%v after %v, %v; want %v after %v, %v", got, time.Since(began), err, test.want, test.after, test.err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if got, err := AwaitIdle(ctx, &test.meter, time.Hour); got || err == nil {
					t.Errorf("ended: %v, %v", got, err)
				}
			})
		})
	}
}
