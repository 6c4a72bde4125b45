package dns

import "errors"

// The kinds of failure, for errors.Is.
var (
	ErrNotFound  = errors.New("name does not exist")                // NXDOMAIN, or no name at all
	ErrNoData    = errors.New("name has no record of this type")    // RFC 2308 section 2.2
	ErrTemporary = errors.New("name service gave no usable answer") // ask again later
	errChain     = errors.New("chain of CNAMEs is too long or a loop")
	errLarge     = errors.New("answer is larger than TCP can carry")
	errClosed    = errors.New("resolver is closed")
	errBusy      = errors.New("too many questions at once")
)

// Error is a failed lookup.
type Error struct {
	Kind   error  // ErrNotFound, ErrNoData or ErrTemporary
	Record string // the type that was asked for
	Name   string
	Server string // the last that was asked; "" when none was
	Cause  error  // of ErrTemporary, what went wrong; else nil
}

// Error tells what was asked and why it failed.
func (e *Error) Error() string {
	text := "dns: " + e.Record + " " + e.Name + ": " + e.Kind.Error()
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	if e.Server != "" {
		text += " (" + e.Server + ")"
	}
	return text
}

// Is makes errors.Is find the kind.
func (e *Error) Is(target error) bool { return target == e.Kind }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

func result(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrNotFound):
		return "not_found"
	case errors.Is(err, ErrNoData):
		return "no_data"
	}
	return "temporary"
}
