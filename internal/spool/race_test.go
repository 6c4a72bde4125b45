//go:build race

package spool_test

// raceEnabled: models and damage are tried in fewer places; `make test` runs all of
// them without the detector.
const raceEnabled = true
