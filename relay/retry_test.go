package relay

import (
	"testing"
	"time"

	"postrider/internal/mail"
	"postrider/queue"
)

func TestRetryFollowsTheContract(t *testing.T) {
	r := Retry{}.withDefaults()
	tests := []struct {
		attempt int
		age     time.Duration
		want    time.Duration // without jitter
	}{
		{0, 0, 5 * time.Minute},
		{1, 0, 5 * time.Minute},
		{2, 5 * time.Minute, 510 * time.Second},
		{3, 15 * time.Minute, 867 * time.Second},
		{6, time.Hour, time.Hour},
		{9, 23 * time.Hour, time.Hour},
		{9, 24 * time.Hour, 4 * time.Hour},
		{4000, 100 * time.Hour, 4 * time.Hour},
	}
	for _, tt := range tests {
		low, mid, high := r.next(tt.attempt, tt.age, 0), r.next(tt.attempt, tt.age, 0.5), r.next(tt.attempt, tt.age, 0.999999)
		if d := mid - tt.want; d < -time.Second || d > time.Second {
			t.Errorf("attempt %d at age %v: wait %v, want %v", tt.attempt, tt.age, mid, tt.want)
		}
		if want := tt.want * 3 / 4; low < want-time.Second || low > want+time.Second {
			t.Errorf("attempt %d: least wait %v, want a quarter less than %v", tt.attempt, low, tt.want)
		}
		if want := tt.want * 5 / 4; high < want-time.Second || high > want+time.Second {
			t.Errorf("attempt %d: longest wait %v, want a quarter more than %v", tt.attempt, high, tt.want)
		}
	}
	if got := r.longest(); got != 5*time.Hour {
		t.Errorf("longest wait %v, want 5h", got)
	}
}

// The last attempt falls on the end of the lifetime: a retry is never put behind
// it, and who is deferred then has failed.
func TestLifetimeEndsWithAnAttempt(t *testing.T) {
	e := &Engine{o: Options{Retry: Retry{}.withDefaults()}}
	life := e.o.Retry.Lifetime
	now := time.Now()
	later := mail.NewStatus(450, 4, 2, 1, "later")
	for _, tt := range []struct {
		age  time.Duration
		wait time.Duration // at most; 0: failed
	}{
		{life - 24*time.Hour, 5 * time.Hour},
		{life - time.Minute, time.Minute},
		{life - time.Second, time.Second},
		{life, 0},
		{life + time.Second, 0},
	} {
		r := e.judge(mail.HopSMTP, &mail.Delivery{Envelope: &mail.Envelope{}}, later, 40, tt.age, now)
		switch {
		case tt.wait > 0 && (r.State != queue.Deferred || r.Due.After(now.Add(tt.wait)) || !r.Due.After(now)):
			t.Errorf("at age %v: %v, due in %v", tt.age, r.State, r.Due.Sub(now))
		case tt.wait == 0 && (r.State != queue.Failed || r.Status.String() != "554 5.4.7 expired, last: 450 4.2.1 later"):
			t.Errorf("at age %v: %v, %v", tt.age, r.State, r.Status)
		}
	}
}
