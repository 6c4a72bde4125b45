package auth

import "time"

// Outcome is what became of one attempt, for the event log and the metrics. It
// never holds a password or a token, and is valid until Observe returns.
type Outcome struct {
	Attempt   *Attempt
	Mechanism string // "PLAIN", ...; "USER" for a protocol's own command
	Name      string // canonical; for a failure whatever was claimed, if it is an address
	Reason    Reason
	// Cached says that no slow hash was needed, since the same was seen before.
	Cached bool
	// Took is the time from the call to the answer without the delay of a failure.
	Took time.Duration
	// Delay is how long the answer was held back.
	Delay time.Duration
	// Err is the cause of Unavailable.
	Err error
}

// Reason is how an attempt ended.
type Reason uint8

// The reasons. All but the first are failures; a stranger sees only three kinds of
// them: credentials, throttled, unavailable.
const (
	OK            Reason = iota
	BadPassword          // the user exists
	UnknownUser          //
	Disabled             // the password was right or wrong
	WrongProtocol        // an app password outside its scopes
	BadToken             // OAuth
	Throttled            // nothing was checked
	Unavailable          // a database, or the line of waiting attempts
	Malformed            // a message that does not fit the mechanism
	NumReasons    = iota
)

// String returns the name that logs and metrics use.
func (r Reason) String() string {
	names := [NumReasons]string{"ok", "bad_password", "unknown_user", "disabled", "wrong_protocol",
		"bad_token", "throttled", "unavailable", "malformed"}
	if int(r) < len(names) {
		return names[r]
	}
	return "unknown"
}
