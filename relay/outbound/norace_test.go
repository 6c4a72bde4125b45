//go:build !race

package outbound_test

// raced says that the race detector is at work.
const raced = false
