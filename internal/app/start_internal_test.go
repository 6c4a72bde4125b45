package app

import (
	"errors"
	"testing"
)

// A start does not wait for a store that has failed and does not return.
func TestUnlessFatal(t *testing.T) {
	fatal := make(chan error, 1)
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	full := errors.New("no space left on device")
	ended, err := unlessFatal(fatal, func() error {
		fatal <- full
		<-never
		return nil
	})
	if ended || !errors.Is(err, full) {
		t.Errorf("ended %v, %v", ended, err)
	}
	if ended, err := unlessFatal(fatal, func() error { return full }); !ended || !errors.Is(err, full) {
		t.Errorf("ended %v, %v", ended, err)
	}
}
