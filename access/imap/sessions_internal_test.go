package imap

import "testing"

// Long searches take turns: there are no more at work than half of the processors.
//
// Covers HI4.
func TestTurns(t *testing.T) {
	n := NewSessions()
	for range cap(n.turns) {
		if !n.takeTurn(0) {
			t.Fatal("no turn while there are some")
		}
	}
	if n.takeTurn(1) {
		t.Error("a turn too many")
	}
	n.giveTurn()
	if !n.takeTurn(0) {
		t.Error("no turn after one was given back")
	}
	var nobody *Sessions
	if !nobody.takeTurn(0) {
		t.Error("no turn where nothing is counted")
	}
	nobody.giveTurn()
}
