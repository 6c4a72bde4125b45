package sink

import (
	"sync"
	"time"
)

// hold keeps MAIL from being answered until it ends.
type hold struct {
	over chan struct{}
	once sync.Once
}

func (h *hold) end() { h.once.Do(func() { close(h.over) }) }

// Hold leaves every MAIL without a reply until release is called, or for the time
// of most: nothing new is delivered meanwhile. A farm of go-smtp does not hold.
func (f *Farm) Hold(most time.Duration) (release func()) {
	h := &hold{over: make(chan struct{})}
	f.held.Store(h)
	t := time.AfterFunc(most, h.end)
	return func() {
		t.Stop()
		f.held.CompareAndSwap(h, nil)
		h.end()
	}
}

// waitHeld returns when no hold is on.
func (f *Farm) waitHeld() {
	if h := f.held.Load(); h != nil {
		<-h.over
	}
}
