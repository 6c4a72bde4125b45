package admin

import "time"

// Why is what a recipient, or the mail of a site, waits for. A wait has one
// name; programs go by Gate.
type Why struct {
	Gate string `json:"gate"`
	// Text says what it waits for, and Release what ends the wait.
	Text    string `json:"text"`
	Release string `json:"release"`
	// Reason is what led to it, such as the reply that a breaker opened on.
	Reason string     `json:"reason,omitempty"`
	Since  *time.Time `json:"since,omitempty"` // nil: not known
	Until  *time.Time `json:"until,omitempty"` // when it is looked at again; nil: at an event
}

// The gates. Those of a site come from the scheduler, the others from the state
// of the recipient.
const (
	GateRetry       = "retry"       // a due time of its own
	GateBreaker     = "breaker"     // the site is left alone after failures
	GateCanary      = "canary"      // the site is being probed with a few
	GateRate        = "rate"        // so much in so much time
	GateWindow      = "window"      // so many connections as the site bears
	GateSource      = "source"      // so many connections from the source
	GateProvider    = "provider"    // so many to all sites of the provider
	GateGlobal      = "global"      // so many to all sites
	GateFlow        = "flow"        // this sender's mail only
	GateTurn        = "turn"        // nothing but those before it
	GateConnect     = "connect"     // the first connection is being made
	GateDNS         = "dns"         // the site of its domain is not known yet
	GateNoRoute     = "noroute"     // nothing here can deliver by its route
	GateSuspended   = "suspended"   // an operator suspended the site
	GateInFlight    = "inflight"    // it is being sent
	GateHeld        = "held"        // an operator or a route holds it
	GateNotice      = "notice"      // it failed, and its sender has not been told yet
	GateQuarantined = "quarantined" // its text is damaged
	GateDraining    = "draining"    // the daemon is ending
)

// Gates returns every gate.
func Gates() []string {
	return []string{
		GateRetry, GateBreaker, GateCanary, GateRate, GateWindow, GateSource, GateProvider, GateGlobal, GateFlow, GateTurn, GateConnect, GateDNS,
		GateNoRoute, GateSuspended, GateInFlight, GateHeld, GateNotice, GateQuarantined, GateDraining,
	}
}

// GateOf returns the gate of a recipient in a state of the queue whose site holds
// nothing.
func GateOf(state string) string {
	switch state {
	case "inflight":
		return GateInFlight
	case "deferred":
		return GateRetry
	case "held":
		return GateHeld
	case "failed":
		return GateNotice
	case "quarantined":
		return GateQuarantined
	}
	return GateTurn
}

// NewWhy returns a Why with the words of its gate. since and until may be zero,
// reason empty.
func NewWhy(gate string, since, until time.Time, reason string) *Why {
	w := &Why{Gate: gate, Reason: reason}
	w.Text, w.Release = gateWords(gate)
	if !since.IsZero() {
		since = since.UTC()
		w.Since = &since
	}
	if !until.IsZero() {
		until = until.UTC()
		w.Until = &until
	}
	return w
}

func gateWords(gate string) (text, release string) {
	switch gate {
	case GateRetry:
		return "its last attempt was put off", "its due time"
	case GateBreaker:
		return "the site is left alone after failures", "the next probe, if it succeeds"
	case GateCanary:
		return "the site is being probed with a few messages", "a probe that succeeds"
	case GateRate:
		return "as much as the site's rate allows was sent", "time: the rate refills"
	case GateWindow:
		return "all connections that the site bears are in use", "one that becomes free; the window grows with success"
	case GateSource:
		return "all connections of the source are in use", "one that becomes free"
	case GateProvider:
		return "all connections to the provider are in use", "one that becomes free"
	case GateGlobal:
		return "all outbound connections are in use", "one that becomes free, of any site"
	case GateFlow:
		return "the site refuses mail of this sender", "time: only this sender's mail waits"
	case GateTurn:
		return "others are before it", "its turn"
	case GateConnect:
		return "a connection to the site is being made", "its greeting, or the end of patience with it"
	case GateDNS:
		return "the mail exchangers of its domain are being looked up", "an answer of the resolver"
	case GateNoRoute:
		return "nothing here can deliver by its route", "a configuration that changes the route"
	case GateSuspended:
		return "an operator suspended the site", "the end of the suspension"
	case GateInFlight:
		return "it is being sent", "the reply of its server"
	case GateHeld:
		return "it is held", "an operator"
	case GateNotice:
		return "it was refused for good, and its sender is about to be told", "the notice, within seconds"
	case GateQuarantined:
		return "its stored text is damaged", "an operator"
	case GateDraining:
		return "postrider is ending", "the next start"
	}
	return "it waits", ""
}
