//go:build race

package imap_test

// memoryEnv is never set: memory is not measured under the race detector.
const memoryEnv = "POSTRIDER_IMAP_IDLE"

func serveIdle(string) {}
