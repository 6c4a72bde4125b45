//go:build race

package mailbox

// RaceEnabled: models play fewer histories; `make test` plays all of them without the
// detector.
const RaceEnabled = true
