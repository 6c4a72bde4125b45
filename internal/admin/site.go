package admin

import "time"

// SiteStatus is how one site fares from one source: a set of mail exchangers, or
// a next hop that a route names. Numbers are recipients.
type SiteStatus struct {
	Site     string `json:"site"`
	Source   string `json:"source,omitempty"`   // empty: the default source
	Provider string `json:"provider,omitempty"` // the group that the site belongs to
	Lane     string `json:"lane,omitempty"`     // the key that selectors take, when it is not Site
	// Domain is one that goes there, and Domains how many are known to.
	Domain  string `json:"domain,omitempty"`
	Domains int    `json:"domains,omitempty"`

	State    State     `json:"state"`
	Ready    int       `json:"ready"`
	InFlight int       `json:"inflight"`
	Deferred int       `json:"deferred"` // with a due time of their own
	Held     int       `json:"held"`
	Failed   int       `json:"failed"`
	Oldest   time.Time `json:"oldest,omitzero"` // when the oldest was accepted, where that is known

	Connections int     `json:"connections"`
	Limit       float64 `json:"limit,omitempty"` // connections that are allowed now; 0: not bounded
	RatePerSec  float64 `json:"rate,omitempty"`  // deliveries a second, lately
	// Why is what the mail that is ready waits for; nil: nothing holds it.
	Why *Why `json:"why,omitempty"`
	// LastReply is the last one that mattered, with codes; LastClass is ours of it.
	LastReply string `json:"last_reply,omitempty"`
	LastClass string `json:"last_class,omitempty"`
}

// State is how a site is treated, in a word.
type State string

// The states of a site.
const (
	StateOK        State = "ok"
	StateLimited   State = "limited"   // less is sent than could be
	StateBackoff   State = "backoff"   // it is left alone for a while after failures
	StateSuspended State = "suspended" // by an operator
)

// StateOf returns the state of a site whose mail waits for w; nil waits for
// nothing.
func StateOf(w *Why) State {
	switch {
	case w == nil:
		return StateOK
	case w.Gate == GateSuspended:
		return StateSuspended
	case w.Gate == GateBreaker, w.Gate == GateNoRoute, w.Gate == GateDNS, w.Gate == GateCanary:
		return StateBackoff
	case w.Gate == GateTurn, w.Gate == GateConnect, w.Gate == GateInFlight, w.Gate == GateRetry:
		return StateOK
	}
	return StateLimited
}

// Explanation is what would become of mail for an address now.
type Explanation struct {
	To     string `json:"to"`
	From   string `json:"from,omitempty"`
	Domain string `json:"domain,omitempty"`
	Hop    string `json:"hop"` // what the route says, such as "mx"
	// Site is where it would wait, from Source; empty: the default source.
	Site     string `json:"site,omitempty"`
	Provider string `json:"provider,omitempty"`
	Source   string `json:"source,omitempty"`
	// Refused is why there is no site: the domain does not exist, takes no mail ...
	Refused  string         `json:"refused,omitempty"`
	Hello    string         `json:"hello,omitempty"` // name in EHLO
	TLS      string         `json:"tls,omitempty"`   // the policy, and where it comes from
	Targets  []TargetStatus `json:"targets,omitempty"`
	Limits   []LimitStatus  `json:"limits,omitempty"`
	Standing *SiteStatus    `json:"standing,omitempty"` // nil: nothing was sent there lately
}

// TargetStatus is one address that would be tried, in that order.
type TargetStatus struct {
	Host       string `json:"host"`
	Addr       string `json:"addr"`
	Preference int    `json:"preference"`
	Note       string `json:"note,omitempty"` // such as why it is left out
}

// LimitStatus is one limit that is in force.
type LimitStatus struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin,omitempty"` // where it comes from: a file, the provider's rule, learned
}
