//go:build race

package app_test

// raceEnabled: pools drop values at random under the race detector.
const raceEnabled = true
