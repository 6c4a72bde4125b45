package schedule

import (
	"math/rand/v2"
	"testing"
	"time"

	"postrider/internal/mail"
)

// Covers Q8, Q10.
func TestRetryFollowsTheReason(t *testing.T) {
	const m, h = time.Minute, time.Hour
	r := Retry{}.WithDefaults()
	tests := []struct {
		class mail.Class
		age   time.Duration
		waits []time.Duration // after each attempt, without jitter
	}{
		{mail.ClassOther, 0, []time.Duration{5 * m, 510 * time.Second, 867 * time.Second, 24*m + 34*time.Second, 41*m + 46*time.Second, h, h}},
		{mail.ClassOther, 23 * h, []time.Duration{5 * m, 510 * time.Second}},
		{mail.ClassContent, 0, []time.Duration{5 * m, 510 * time.Second}},
		{mail.ClassMailboxFull, 0, []time.Duration{h, 2 * h, 4 * h, 4 * h}},
		{mail.ClassDNS, 0, []time.Duration{5 * m, 15 * m, 30 * m, 30 * m}},
	}
	for _, tt := range tests {
		for i, want := range tt.waits {
			low, mid, high := r.Next(tt.class, i+1, tt.age, 0, 0), r.Next(tt.class, i+1, tt.age, 0, 0.5), r.Next(tt.class, i+1, tt.age, 0, 0.999999)
			if !around(mid, want) || !around(low, want*3/4) || !around(high, want*5/4) {
				t.Errorf("%v after attempt %d: %v to %v to %v, want %v and a quarter either way", tt.class, i+1, low, mid, high, want)
			}
		}
	}
	if got := r.Next(mail.ClassOther, 4000, 100*h, 0, 0.5); got != 4*h {
		t.Errorf("an old message waits %v", got)
	}
	if got := r.Next(mail.ClassOther, 0, 0, 0, 0.5); got != 5*m {
		t.Errorf("before the first attempt: %v", got)
	}
	if got := r.Longest(); got != 5*h {
		t.Errorf("longest wait %v", got)
	}
}

func around(a, b time.Duration) bool { return (a - b).Abs() <= time.Second }

// A greylist is tried again as soon as it may have opened, never before, and less
// often from then on.
// Covers Q10.
func TestRetryOfAGreylist(t *testing.T) {
	r := Retry{}.WithDefaults()
	for _, tt := range []struct {
		attempt   int
		asked     time.Duration
		low, high time.Duration
	}{
		{1, 0, 5 * time.Minute, 375 * time.Second},
		{1, 2 * time.Minute, 5 * time.Minute, 375 * time.Second},
		{1, 10 * time.Minute, 10 * time.Minute, 750 * time.Second},
		{2, 0, 450 * time.Second, 750 * time.Second},
		{3, 0, 15 * time.Minute, 25 * time.Minute},
		{4, 0, 30 * time.Minute, 50 * time.Minute},
		{5, 0, 1879 * time.Second, 3132 * time.Second},
	} {
		low, high := r.Next(mail.ClassGreylist, tt.attempt, 0, tt.asked, 0), r.Next(mail.ClassGreylist, tt.attempt, 0, tt.asked, 0.999999)
		if !around(low, tt.low) || !around(high, tt.high) {
			t.Errorf("attempt %d, asked for %v: %v to %v, want %v to %v", tt.attempt, tt.asked, low, high, tt.low, tt.high)
		}
	}
}

// No retry comes before the time that the reply asks for, and what is asked for has
// its limits.
// Covers Q10.
func TestRetryKeepsToWhatIsAsked(t *testing.T) {
	r := Retry{}.WithDefaults()
	for class := mail.ClassOther; class < mail.NumClasses; class++ {
		for _, asked := range []time.Duration{time.Second, 4 * time.Minute, 20 * time.Minute, 7 * time.Hour} {
			for attempt := range 10 {
				for _, spread := range []float64{0, 0.5, 0.99} {
					if got := r.Next(class, attempt, 0, asked, spread); got < asked {
						t.Errorf("%v: retry after %v, asked for %v", class, got, asked)
					}
				}
			}
		}
		if got := r.Next(class, 1, 0, 1000*time.Hour, 0.5); got > 30*time.Hour {
			t.Errorf("%v: a reply put a message off by %v", class, got)
		}
		if got := r.Next(class, 1, 0, -time.Hour, 0.5); got < time.Minute {
			t.Errorf("%v: %v", class, got)
		}
	}
}

// Whatever the reason and the attempt, 100,000 that failed together do not come back
// in one second.
// Covers Q9.
func TestRetrySpreadsWhatFailedTogether(t *testing.T) {
	r := Retry{}.WithDefaults()
	random := rand.New(rand.NewPCG(3, 5))
	for class := mail.ClassOther; class < mail.NumClasses; class++ {
		for _, attempt := range []int{1, 3} {
			const n = 100_000
			seconds := map[int]int{}
			first, last, most := 1<<40, 0, 0
			for range n {
				at := int(r.Next(class, attempt, 0, 0, random.Float64()) / time.Second)
				seconds[at]++
				first, last, most = min(first, at), max(last, at), max(most, seconds[at])
			}
			if mean := float64(n) / float64(last-first+1); float64(most) > 3*mean || last-first < 60 {
				t.Errorf("%v, attempt %d: %d in one second of %d, mean %.0f", class, attempt, most, last-first+1, mean)
			}
		}
	}
}
