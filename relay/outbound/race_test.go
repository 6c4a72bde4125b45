//go:build race

package outbound_test

// raced says that the race detector is at work: pools then lose some of what they
// are given.
const raced = true
