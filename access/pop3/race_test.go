//go:build race

package pop3_test

const idleEnv = ""

func serveIdle(string) {}
