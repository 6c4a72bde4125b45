package admin_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"postrider/internal/admin"
)

// Covers O9.
func TestExplain(t *testing.T) {
	dir := t.TempDir()
	refused := errors.New("the resolver is gone")
	explain := func(_ context.Context, to, from string) (*admin.Explanation, error) {
		switch to {
		case "nobody":
			return nil, admin.ErrSelector
		case "x@servfail.example":
			return nil, refused
		}
		since := time.Unix(1_800_000_000, 0)
		standing := admin.SiteStatus{Site: "google", Why: admin.NewWhy(admin.GateBreaker, since, since.Add(time.Minute), "421 later")}
		standing.State = admin.StateOf(standing.Why)
		return &admin.Explanation{To: to, From: from, Hop: "mx", Standing: &standing}, nil
	}
	socket := filepath.Join(dir, "a.sock")
	start(t, admin.Options{Socket: socket, Explain: explain})
	c := admin.NewClient(socket)
	e, err := c.Explain(t.Context(), "bob@gmail.example", "a+b@isp.example")
	if err != nil || e.From != "a+b@isp.example" || e.Standing.State != admin.StateBackoff || e.Standing.Why.Until == nil || e.Standing.Why.Release == "" {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := c.Explain(t.Context(), "", ""); !errors.Is(err, admin.ErrSelector) {
		t.Errorf("no address: %v", err)
	}
	if _, err := c.Explain(t.Context(), "nobody", ""); !errors.Is(err, admin.ErrSelector) {
		t.Errorf("no such address: %v", err)
	}
	if _, err := c.Explain(t.Context(), "x@servfail.example", ""); err == nil || err.Error() != refused.Error() {
		t.Errorf("a failure: %v", err)
	}
	mute := filepath.Join(dir, "b.sock")
	start(t, admin.Options{Socket: mute})
	if _, err := admin.NewClient(mute).Explain(t.Context(), "bob@gmail.example", ""); !errors.Is(err, admin.ErrNotFound) {
		t.Errorf("nobody knows: %v", err)
	}
}

// The state of a site is that of what its mail waits for.
func TestStateOf(t *testing.T) {
	want := map[string]admin.State{
		admin.GateSuspended: admin.StateSuspended, admin.GateBreaker: admin.StateBackoff, admin.GateDNS: admin.StateBackoff,
		admin.GateCanary: admin.StateBackoff, admin.GateNoRoute: admin.StateBackoff, admin.GateTurn: admin.StateOK,
		admin.GateInFlight: admin.StateOK, admin.GateRetry: admin.StateOK, admin.GateRate: admin.StateLimited, admin.GateWindow: admin.StateLimited,
	}
	for gate, state := range want {
		if got := admin.StateOf(admin.NewWhy(gate, time.Time{}, time.Time{}, "")); got != state {
			t.Errorf("%s: %s", gate, got)
		}
	}
	for _, state := range admin.States() {
		if gate := admin.GateOf(state); admin.StateOf(admin.NewWhy(gate, time.Time{}, time.Time{}, "")) == admin.StateSuspended || (gate == admin.GateTurn) != (state == "ready") {
			t.Errorf("%s: %s", state, gate)
		}
	}
	if admin.StateOf(nil) != admin.StateOK {
		t.Error("a site that nothing holds is not ok")
	}
}
