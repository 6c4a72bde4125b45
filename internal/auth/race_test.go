//go:build race

package auth_test

// raceEnabled: pools drop values at random under the race detector.
const raceEnabled = true
