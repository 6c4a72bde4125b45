package wire

import "errors"

// Errors of a Conn. Others come from the network as they are.
var (
	ErrTimeout  = errors.New("deadline passed")
	ErrDraining = errors.New("server is draining")
	ErrFull     = errors.New("input buffer is full")
	ErrWoken    = errors.New("woken")
	ErrInjected = errors.New("input was sent ahead of the handshake")
)

// Reason says why a connection was refused or ended.
type Reason uint8

// The reasons. ReasonNone is none, or not known.
const (
	ReasonNone      Reason = iota
	ReasonQuit             // the client said goodbye
	ReasonLost             // the client went away
	ReasonTimeout          // a deadline passed
	ReasonDrain            // the server is shutting down
	ReasonPerClient        // too many connections from one client
	ReasonTotal            // too many connections
	ReasonRefused          // policy
	ReasonProtocol         // the client broke the protocol's order
	ReasonJunk             // too many commands that led nowhere
	ReasonErrors           // too many errors
	ReasonTLS              // the handshake failed
	ReasonPanic            // the session panicked
)

// String returns the name used in logs and as a metric's label.
func (r Reason) String() string {
	switch r {
	case ReasonNone:
		return "none"
	case ReasonQuit:
		return "quit"
	case ReasonLost:
		return "lost"
	case ReasonTimeout:
		return "timeout"
	case ReasonDrain:
		return "drain"
	case ReasonPerClient:
		return "per_client"
	case ReasonTotal:
		return "total"
	case ReasonRefused:
		return "refused"
	case ReasonProtocol:
		return "protocol"
	case ReasonJunk:
		return "junk"
	case ReasonErrors:
		return "errors"
	case ReasonTLS:
		return "tls"
	case ReasonPanic:
		return "panic"
	}
	return "unknown"
}
