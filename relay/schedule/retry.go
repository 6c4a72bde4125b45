package schedule

import (
	"math"
	"time"

	"postrider/internal/mail"
)

// Retry is the schedule of a recipient that was deferred for a reason of its own.
// When nothing else is known, the first retry comes after Min, each later one after
// Factor times the last wait, at most Max until the message is Slow old and at most
// SlowMax from then on. Where the reply says more, the reason has a schedule of its
// own: see Next.
type Retry struct {
	Min      time.Duration // 0: 5 minutes
	Factor   float64       // 0: 1.7
	Max      time.Duration // 0: 1 hour
	Slow     time.Duration // 0: 24 hours
	SlowMax  time.Duration // 0: 4 hours
	Lifetime time.Duration // 0: 5 days
	Jitter   float64       // share by which a wait is spread either way; 0: 0.25
}

// WithDefaults fills in what is zero.
func (r Retry) WithDefaults() Retry {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&r.Min, 5*time.Minute)
	def(&r.Max, time.Hour)
	def(&r.Slow, 24*time.Hour)
	def(&r.SlowMax, 4*time.Hour)
	def(&r.Lifetime, 5*24*time.Hour)
	if r.Factor <= 1 {
		r.Factor = 1.7
	}
	if r.Jitter <= 0 || r.Jitter >= 1 {
		r.Jitter = 0.25
	}
	return r
}

// The waits of the reasons that have their own: a greylist wants the same server
// to be asked again soon, a mailbox is not emptied at once, and name servers mend
// in minutes.
const (
	greylistMin    = 5 * time.Minute
	greylistMax    = 40 * time.Minute
	greylistTries  = 4
	greylistSpread = time.Minute
	mailboxMin     = time.Hour
	mailboxMax     = 4 * time.Hour
	dnsMin         = 5 * time.Minute
	dnsMax         = 30 * time.Minute

	// maxAsked is the longest "try again in" that is believed.
	maxAsked = 24 * time.Hour
)

// Next returns how long to wait after the attempt-th attempt (1 is the first) of a
// message of the given age that was deferred for class. asked is what the reply
// said ("try again in 300 seconds"), 0 when it said nothing: no retry comes before
// it. spread is a random number in [0, 1): without it whatever failed together
// would come back together.
func (r Retry) Next(class mail.Class, attempt int, age, asked time.Duration, spread float64) time.Duration {
	attempt = max(attempt, 1)
	asked = min(max(asked, 0), maxAsked)
	limit := r.Max
	if age >= r.Slow {
		limit = r.SlowMax
	}
	var wait time.Duration
	switch {
	case class == mail.ClassGreylist && attempt == 1:
		// Earlier than the greylist wants is in vain, and later is late: spread to one side only.
		wait = max(asked, r.own(greylistMin))
		return wait + time.Duration(spread*float64(max(r.own(greylistSpread), r.part(wait))))
	case class == mail.ClassGreylist && attempt <= greylistTries:
		wait = grown(r.own(greylistMin), 2, attempt, greylistMax)
	case class == mail.ClassMailboxFull:
		wait = grown(r.own(mailboxMin), 2, attempt, mailboxMax)
	case class == mail.ClassDNS && age < r.Slow:
		wait = grown(r.own(dnsMin), 3, attempt, dnsMax)
	default:
		wait = grown(r.Min, r.Factor, attempt, limit)
	}
	if asked >= wait {
		return asked + time.Duration(spread*float64(r.part(asked)))
	}
	wait = time.Duration(float64(wait) * (1 - r.Jitter + 2*r.Jitter*spread))
	return max(wait, asked)
}

func (r Retry) part(d time.Duration) time.Duration { return time.Duration(float64(d) * r.Jitter) }

// usualMin is the Min by which the waits of the reasons were chosen.
const usualMin = 5 * time.Minute

// own is a wait of a reason: sooner where an operator wants all retries sooner.
func (r Retry) own(wait time.Duration) time.Duration {
	if r.Min <= 0 || r.Min >= usualMin {
		return wait
	}
	return time.Duration(float64(wait) * float64(r.Min) / float64(usualMin))
}

// grown is first times factor to the power of the retries before, at most limit.
func grown(first time.Duration, factor float64, attempt int, limit time.Duration) time.Duration {
	wait := float64(first) * math.Pow(factor, float64(attempt-1))
	if wait > float64(limit) { // also when the power has grown to infinity
		return limit
	}
	return time.Duration(wait)
}

// Longest is the longest wait that the schedule gives unasked.
func (r Retry) Longest() time.Duration {
	return time.Duration(float64(max(r.Max, r.SlowMax, mailboxMax)) * (1 + r.Jitter))
}
