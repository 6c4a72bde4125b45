package relay

import (
	"testing"
	"time"
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
