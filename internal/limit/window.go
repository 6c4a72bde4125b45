package limit

import "time"

// Window is how many connections may be open to one destination at a time. Until
// the first loss, or the size that was learned before, each success adds one, so
// that it doubles with each window of them; from then on a full window of successes
// adds one. A loss (the destination says that there are too many) takes it to 0.7
// of what was open at once, and no further loss counts until as many results have
// come in as were under way then, since those tell of the same moment: growth waits
// for success and loss does not, the reverse hysteresis of Postfix's scheduler.
//
// The size at which a loss came is remembered. Going there again takes several
// windows of success, and twice as many each time it was in vain: against a limit
// that stands, the losses become rare; one that has gone is found out.
//
// A Window belongs to its owner, who guards it. The zero Window is of use after
// Open.
type Window struct {
	size      float32
	most      float32
	threshold float32 // slow start ends there; 0: there was no loss yet
	ceiling   float32 // size of the last loss; 0: not known, or passed
	credit    float32 // successes since the last growth
	hold      int32   // results to come of what was under way at the last loss
	vain      uint8   // times that the ceiling was tried in vain
}

// StartWindow is the size of a window that has learned nothing.
const StartWindow = 2

const (
	lossFactor   = 0.7
	ceilingFirst = 4 // windows of success before the ceiling is tried again
	ceilingTries = 5 // doublings of that, at most

	// IdleWindow is the rest after which a window loses half of what it is above its
	// start: what was learned of a destination's capacity gets old (RFC 2861 does
	// the same with TCP's window).
	IdleWindow = time.Minute
)

// Open makes the window new: at most is its bound (less than 1 counts as 1), learned
// a size that was good before, 0 when none is known; fresh is how much of that is
// still believed, from 0 to 1.
func (w *Window) Open(most int, learned, fresh float64) {
	*w = Window{most: float32(max(most, 1))}
	w.size = min(StartWindow, w.most)
	if learned > 0 {
		w.threshold = min(float32(learned), w.most)
		w.size = min(max(w.size, float32(learned*fresh)), w.most)
	}
}

// Bound changes the window's bound.
func (w *Window) Bound(most int) {
	w.most = float32(max(most, 1))
	w.size = min(w.size, w.most)
}

// Size is how many connections may be open: at least 1.
func (w *Window) Size() int { return max(1, int(w.size+0.5)) }

// Learned is the size to begin with next time; 0 when nothing was learned.
func (w *Window) Learned() float64 {
	if w.size <= StartWindow && w.threshold == 0 {
		return 0
	}
	return float64(max(w.size, w.threshold))
}

// Success counts a good result while open connections were open or being opened,
// and up of them had come up. A window that is not used up does not grow, since
// that the destination is good for more is not known; and slow start does not run
// ahead of the connections that come up.
func (w *Window) Success(open, up int) {
	w.Answer()
	size := w.Size()
	if w.threshold == 0 || w.size < w.threshold {
		if 2*open > size && size < 2*up {
			w.size = min(w.size+1, w.most)
		}
		return
	}
	if up < size {
		return
	}
	w.credit++
	need := float32(size)
	if w.ceiling > 0 && size+1 >= int(w.ceiling) {
		need *= float32(int(ceilingFirst) << w.vain)
	}
	if w.credit < need {
		return
	}
	w.credit = 0
	if size >= int(w.ceiling) { // held for as long as it took to try it
		w.ceiling, w.vain = 0, 0
	}
	w.size = min(w.size+1, w.most)
}

// Answer counts a result that says nothing of the size.
func (w *Window) Answer() {
	if w.hold > 0 {
		w.hold--
	}
}

// Loss says that the destination does not take what inUse connections ask of it;
// underWay is how many results are to come of what began before. It reports
// whether the window was cut.
func (w *Window) Loss(inUse, underWay int) bool {
	if w.hold > 0 {
		w.hold--
		return false
	}
	at := float32(min(max(inUse, 1), w.Size()))
	if d := at - w.ceiling; w.ceiling > 0 && d <= 1 && d >= -1 {
		w.vain = min(w.vain+1, ceilingTries)
	} else {
		w.vain = 0
	}
	w.ceiling = at
	w.size = max(1, at*lossFactor)
	w.threshold = w.size
	w.credit = 0
	w.hold = int32(max(underWay-1, 0))
	return true
}

// Shrink cuts the window for a destination that does not answer, which is no sign of
// what it can bear when it does: the way back is slow start.
func (w *Window) Shrink(underWay int) {
	if w.hold > 0 {
		w.hold--
		return
	}
	if w.threshold > 0 {
		w.threshold = max(w.threshold, w.size)
	}
	w.size = max(1, w.size*lossFactor)
	w.hold = int32(max(underWay-1, 0))
}

// Restart takes the window back to its start: the destination was away. The size
// that was good before is reached by slow start.
func (w *Window) Restart() {
	if w.threshold > 0 {
		w.threshold = max(w.threshold, w.size)
	}
	w.size = min(StartWindow, w.most)
	w.credit, w.hold = 0, 0
}

// Idle says that for d nothing was sent.
func (w *Window) Idle(d time.Duration) {
	n := int(d / IdleWindow)
	if n == 0 {
		return
	}
	start := min(StartWindow, w.most)
	if w.size > start {
		w.threshold = max(w.threshold, w.size*3/4)
		w.size = start + (w.size-start)/float32(int(1)<<min(n, 20))
	}
	w.credit, w.hold = 0, 0
	if n >= 10 {
		w.ceiling, w.vain = 0, 0
	}
}
