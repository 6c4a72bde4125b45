// Package invariants holds checks that exist only in builds with the tag
// "invariants": without it Enabled is the constant false, and the compiler
// removes both the calls and what they guard.
//
// A broken invariant is a defect of this program, never something that a peer
// or a disk can bring about, so Check panics.
package invariants
