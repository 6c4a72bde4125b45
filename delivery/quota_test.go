package delivery_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/delivery"
	"postrider/internal/mail"
)

// A mailbox takes what fits, exactly, and says so at RCPT and at the end, for now or
// for good.
//
// Covers HM3.
func TestQuota(t *testing.T) {
	for _, permanent := range []bool{false, true} {
		want := "452 4.2.2"
		if permanent {
			want = "552 5.2.2"
		}
		limitBytes := int64(0)
		o := open(t, func(o *delivery.Options) {
			o.Settings.FullIsPermanent = permanent
			o.Quota = func(_ context.Context, user string) (int64, int64, error) {
				if user == "alice@x.example" {
					return limitBytes, 0, nil
				}
				return 0, 0, nil
			}
		})
		o.serve(t, o.message(text, "alice@x.example"))
		size := int64(len(o.texts(t, "alice@x.example", "INBOX")[0]))
		limitBytes = 3 * size // exactly
		o.now = o.now.Add(time.Minute)
		for n := 2; n <= 3; n++ {
			if st := o.a.Recipient(t.Context(), []byte("alice@x.example"), int64(len(text))); !st.IsZero() {
				t.Errorf("%d at RCPT: %v", n, st)
			}
			if got := o.serve(t, o.message(text, "alice@x.example")); got != "250 2.1.5" {
				t.Errorf("%d: %s", n, got)
			}
		}
		if st := o.a.Recipient(t.Context(), []byte("alice@x.example"), 1); !strings.HasPrefix(st.String(), want) {
			t.Errorf("full at RCPT: %v", st)
		}
		if st := o.a.Recipient(t.Context(), []byte("alice@x.example"), -1); !st.IsZero() {
			t.Errorf("at RCPT, room not asked for: %v", st)
		}
		if got := o.serve(t, o.message(text, "bob@x.example", "alice@x.example")); got != "250 2.1.5, "+want {
			t.Errorf("full: %s", got)
		}
		if d := o.message(text, "alice@x.example", "bob@x.example"); !o.a.Direct(t.Context(), d, false) || outcomes(d) != want+", 250 2.1.5" {
			t.Errorf("full, straight: %s", outcomes(d))
		}
		if o.a.Direct(t.Context(), o.message(text, "bob@x.example", "alice@x.example"), true) {
			t.Error("full, whole: filed")
		}
		if a, b := len(o.texts(t, "alice@x.example", "INBOX")), len(o.texts(t, "bob@x.example", "INBOX")); a != 3 || b != 2 {
			t.Errorf("alice has %d, bob %d", a, b)
		}
	}
}

// However many deliveries there are at once, an account takes no more than it may.
//
// Covers HM3.
func TestQuotaAtOnce(t *testing.T) {
	const most, senders = 20, 64
	o := open(t, func(o *delivery.Options) {
		o.Quota = func(context.Context, string) (int64, int64, error) { return 0, most, nil }
	})
	deliveries := make([]*mail.Delivery, senders)
	for i := range deliveries {
		deliveries[i] = o.message(text, "alice@x.example", "bob@x.example")
	}
	var all sync.WaitGroup
	for i, d := range deliveries {
		all.Go(func() {
			if i%2 == 0 {
				o.a.Direct(t.Context(), d, i%4 == 0)
			} else {
				_ = o.a.Serve(t.Context(), nil, nil, &once{d: d})
			}
		})
	}
	all.Wait()
	for _, user := range []string{"alice@x.example", "bob@x.example"} {
		if n := len(o.texts(t, user, "INBOX")); n != most {
			t.Errorf("%s has %d messages of %d", user, n, most)
		}
	}
}

// Limits that cannot be looked up are not taken for none.
func TestLimitsThatCannotBeLookedUp(t *testing.T) {
	o := open(t, func(o *delivery.Options) {
		o.Quota = func(context.Context, string) (int64, int64, error) { return 0, 0, errors.New("no connection") }
	})
	if got := o.serve(t, o.message(text, "alice@x.example")); got != "451 4.3.0" {
		t.Error(got)
	}
	if o.a.Direct(t.Context(), o.message(text, "alice@x.example"), false) {
		t.Error("filed")
	}
}
