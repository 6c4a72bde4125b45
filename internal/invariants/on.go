//go:build invariants

package invariants

// Enabled reports whether the program was built with the tag "invariants".
const Enabled = true

// Check panics with msg when ok is false.
func Check(ok bool, msg string) {
	if !ok {
		panic("invariant broken: " + msg)
	}
}

// Mangle overwrites b up to its capacity, so that whoever still reads it after
// giving it back finds out soon.
func Mangle(b []byte) {
	b = b[:cap(b)]
	for i := range b {
		b[i] = 0xcc
	}
}
