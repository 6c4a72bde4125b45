package guard

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/auth"
)

// What was found is remembered for a while; who is unknown, and what cannot be
// understood, is asked for each time and no failure of the server; trouble is never
// an unknown user.
func TestUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		var trouble error
		data := &DataError{Name: "odd@example.org", Field: "quota", Cause: errServer}
		u := NewUsers(NewGate(Limits{Failures: 2}), Options{Entries: 2, TTL: time.Minute}, func(_ context.Context, name string) (*auth.Entry, error) {
			asked++
			switch {
			case trouble != nil:
				return nil, trouble
			case name == "odd@example.org":
				return nil, data
			case name == "nobody@example.org":
				return nil, fmt.Errorf("looked everywhere: %w", auth.ErrUnknown)
			}
			return &auth.Entry{Name: name}, nil
		})
		ask := func(name string, want error, count int) {
			t.Helper()
			e, err := u.Lookup(t.Context(), name)
			if !errors.Is(err, want) || (err == nil) != (e != nil && e.Name == name) || asked != count {
				t.Fatalf("%s: %v, %v after %d questions", name, e, err, asked)
			}
		}
		ask("ann@example.org", nil, 1)
		ask("ann@example.org", nil, 1)
		for i := range 4 {
			ask("nobody@example.org", auth.ErrUnknown, 2+i)
		}
		for i := range 4 {
			ask("odd@example.org", data, 6+i)
		}
		time.Sleep(time.Minute)
		ask("ann@example.org", nil, 10)
		trouble = errServer
		ask("ann@example.org", nil, 10)
		ask("bob@example.org", errServer, 11)
		ask("nobody@example.org", errServer, 12)
		ask("nobody@example.org", ErrDown, 12)
		ask("ann@example.org", nil, 10+2)
		u.Forget()
		ask("ann@example.org", ErrDown, 12)
		if _, err := u.Lookup(t.Context(), "nobody@example.org"); errors.Is(err, auth.ErrUnknown) {
			t.Error("trouble looks like an unknown user")
		}
	})
}
