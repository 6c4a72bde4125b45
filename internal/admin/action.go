package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
)

// Action is what an operator can do to recipients that wait. Its value is the verb
// of the command line and the end of the path.
type Action string

// The actions.
const (
	ActionRetry   Action = "retry"   // let them be attempted now
	ActionHold    Action = "hold"    // keep them from being attempted
	ActionRelease Action = "release" // let those go on that are held or quarantined
	ActionBounce  Action = "bounce"  // give them up and tell their senders
	ActionDrop    Action = "drop"    // end them without telling anybody
)

// Actions returns every action.
func Actions() []Action {
	return []Action{ActionRetry, ActionHold, ActionRelease, ActionBounce, ActionDrop}
}

// NeedsReason reports an action that takes mail out of the flow, of which somebody
// will ask why.
func (a Action) NeedsReason() bool {
	return a == ActionHold || a == ActionBounce || a == ActionDrop
}

// Fits reports whether the action is for a recipient that stands like r.
func (a Action) Fits(r *Recipient) bool {
	var states []string
	switch a {
	case ActionRetry:
		if r.State == "ready" && r.Why != nil && r.Why.Gate == GateDNS {
			return true // its domain is looked up again
		}
		states = []string{"deferred"}
	case ActionHold:
		states = []string{"ready", "inflight", "deferred"}
	case ActionRelease:
		states = []string{"held", "quarantined"}
	case ActionBounce:
		states = []string{"ready", "inflight", "deferred", "held", "quarantined"}
	case ActionDrop:
		states = States()
	}
	return slices.Contains(states, r.State)
}

// ActionResult is what an action did, in recipients. Others that the selector chose
// are in a state that the action is not for.
type ActionResult struct {
	Matched int `json:"matched"`
	Done    int `json:"done"`
	// Skipped had been sent meanwhile, or changed otherwise: that stands.
	Skipped int `json:"skipped"`
}

// act needs a reason for what takes mail away, and a selector that selects: a
// forgotten one must not empty the queue.
func (s *Server) act(a Action) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		sel, err := ParseSelector(q, "reason", "actor", "all")
		if err != nil {
			failWith(w, err)
			return
		}
		reason := q.Get("reason")
		if reason == "" && a.NeedsReason() {
			fail(w, http.StatusBadRequest, "a reason is needed")
			return
		}
		if sel.All() && q.Get("all") != "true" {
			fail(w, http.StatusBadRequest, "no selector: that would "+string(a)+" the whole queue (all=true if it is meant)")
			return
		}
		actor := q.Get("actor")
		if actor == "" {
			actor = "api"
		}
		result, err := s.o.Queue.Act(r.Context(), a, sel, actor, reason)
		if err != nil {
			failWith(w, err)
			return
		}
		reply(w, http.StatusOK, result)
	}
}

// Act does an action to the recipients that s matches. A selector that restricts
// nothing needs all.
func (c *Client) Act(ctx context.Context, a Action, s Selector, all bool, actor, reason string) (ActionResult, error) {
	v := s.Values()
	v.Set("actor", actor)
	v.Set("reason", reason)
	if all {
		v.Set("all", "true")
	}
	var result ActionResult
	resp, err := c.do(ctx, http.MethodPost, "/api/v1/queue/"+string(a)+"?"+v.Encode())
	if err != nil {
		return result, err
	}
	defer resp.Body.Close() // only read
	if resp.StatusCode != http.StatusOK {
		return result, failure(resp)
	}
	return result, json.NewDecoder(resp.Body).Decode(&result)
}
