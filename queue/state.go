package queue

// State is where one recipient of one message stands. The numbers rest on disk
// and never change their meaning.
type State uint8

// The states of a recipient. A terminal one absorbs: nothing follows it.
const (
	Ready       State = iota + 1 // waits for a lessee, now
	InFlight                     // leased; only in memory, a crash makes it Ready again
	Deferred                     // waits for its due time
	Held                         // waits for an operator; no attempts, no expiry
	Failed                       // refused for good; waits for its bounce, or for an operator
	Quarantined                  // the stored body is damaged; waits for an operator

	Delivered // terminal: the next hop took it
	Bounced   // terminal: a notice about its failure took its place
	Expired   // terminal: its lifetime ended
	Dropped   // terminal: an operator or a route threw it away
)

const numStates = int(Dropped) + 1

var stateNames = [numStates]string{
	"none", "ready", "inflight", "deferred", "held", "failed", "quarantined",
	"delivered", "bounced", "expired", "dropped",
}

// String returns the state's name in lower case, as listings show it.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// Terminal reports whether the recipient has ended.
func (s State) Terminal() bool { return s >= Delivered }

// ParseState is the reverse of String; false when name is no state.
func ParseState(name string) (State, bool) {
	for i := 1; i < numStates; i++ {
		if stateNames[i] == name {
			return State(i), true
		}
	}
	return 0, false
}
