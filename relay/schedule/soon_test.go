package schedule_test

import (
	"testing"
	"time"

	"postrider/internal/mail"
	"postrider/relay/schedule"
)

// Where an operator wants retries sooner, those of reasons with a schedule of their
// own come sooner as well; where he wants them later, those stay.
func TestReasonsFollowTheFirstRetry(t *testing.T) {
	for _, c := range []struct {
		min, greylist, mailbox time.Duration
	}{
		{0, 5 * time.Minute, time.Hour},
		{5 * time.Minute, 5 * time.Minute, time.Hour},
		{time.Hour, 5 * time.Minute, time.Hour},
		{time.Minute, time.Minute, 12 * time.Minute},
		{time.Second, time.Second, 12 * time.Second},
	} {
		r := schedule.Retry{Min: c.min}.WithDefaults()
		if got := r.Next(mail.ClassGreylist, 1, 0, 0, 0); got != c.greylist {
			t.Errorf("%s: a greylist is asked again after %s", c.min, got)
		}
		if got := r.Next(mail.ClassMailboxFull, 1, 0, 0, 0.5); got != c.mailbox {
			t.Errorf("%s: a full mailbox is tried again after %s", c.min, got)
		}
		if got := r.Next(mail.ClassGreylist, 1, 0, time.Hour, 0); got != time.Hour {
			t.Errorf("%s: what was asked for is not waited for, but %s", c.min, got)
		}
	}
}
