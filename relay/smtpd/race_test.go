//go:build race

package smtpd_test

// raceEnabled: pools drop values at random under the race detector.
const raceEnabled = true
