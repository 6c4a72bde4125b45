//go:build !race

package mailbox

const RaceEnabled = false
