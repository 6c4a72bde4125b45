package limit_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"postrider/internal/limit"
)

func opened(most int) limit.Window {
	var w limit.Window
	w.Open(most, 0, 0)
	return w
}

// good gives the window n rounds of successes of all of its connections.
func good(w *limit.Window, rounds int) {
	for range rounds {
		for n := w.Size(); n > 0; n-- {
			w.Success(w.Size(), w.Size())
		}
	}
}

// Covers D7.
func TestWindowDoublesUntilTheFirstLossAndAddsOneFromThenOn(t *testing.T) {
	w := opened(100)
	for _, want := range []int{2, 4, 8, 16} {
		if w.Size() != want {
			t.Fatalf("size %d, want %d", w.Size(), want)
		}
		for range want {
			w.Success(w.Size(), want)
		}
	}
	if !w.Loss(21, 21) || w.Size() != 15 { // 0.7 of what was open
		t.Fatalf("after a loss at 21: %d", w.Size())
	}
	for range 20 { // of the cohort that was under way
		if w.Loss(15, 15) {
			t.Fatal("one moment counted twice")
		}
	}
	for n := w.Size(); n < 19; n++ {
		good(&w, 1)
		if w.Size() != n+1 {
			t.Fatalf("a window of successes took it from %d to %d", n, w.Size())
		}
	}
}

func TestWindowDoesNotGrowUnused(t *testing.T) {
	w := opened(100)
	for range 100 {
		w.Success(1, 1)
	}
	if w.Size() != limit.StartWindow {
		t.Errorf("one connection made the window %d", w.Size())
	}
	for range 100 {
		w.Success(100, 2)
	}
	if w.Size() != 4 {
		t.Errorf("two connections that came up made the window %d", w.Size())
	}
}

func TestWindowComesBackToWhatWasGood(t *testing.T) {
	w := opened(100)
	good(&w, 5)
	w.Loss(50, 1)
	was := w.Size()
	w.Restart()
	if w.Size() != limit.StartWindow {
		t.Fatalf("restarts at %d", w.Size())
	}
	rounds := 0
	for ; w.Size() < was && rounds < 100; rounds++ {
		good(&w, 1)
	}
	if rounds > 6 {
		t.Errorf("%d windows of success to get back to %d", rounds, was)
	}

	learned := w.Learned()
	var next limit.Window
	next.Open(100, learned, 0.5)
	if n := next.Size(); n < was/2 || n > was/2+1 {
		t.Errorf("half of what was learned of %d is %d", was, n)
	}
	next.Open(10, learned, 1)
	if next.Size() != 10 {
		t.Errorf("a bound of 10 lets %d", next.Size())
	}
	if fresh := opened(9); fresh.Learned() != 0 {
		t.Error("a new window has learned something")
	}
}

func TestWindowForgetsWhileIdle(t *testing.T) {
	w := opened(100)
	good(&w, 4)
	before := w.Size()
	w.Idle(limit.IdleWindow - 1)
	if w.Size() != before {
		t.Error("less than a rest changed it")
	}
	w.Idle(limit.IdleWindow)
	if n := w.Size(); n > (before+limit.StartWindow)/2+1 || n < before/2 {
		t.Errorf("after one rest: %d of %d", n, before)
	}
	w.Idle(time.Hour)
	if w.Size() != limit.StartWindow {
		t.Errorf("after an hour: %d", w.Size())
	}
}

// A window stays within its bounds whatever happens.
func TestWindowStaysInBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 30).Draw(t, "most")
		var w limit.Window
		w.Open(most, rapid.Float64Range(0, 50).Draw(t, "learned"), rapid.Float64Range(0, 1).Draw(t, "fresh"))
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			before := w.Size()
			open := rapid.IntRange(0, 40).Draw(t, "open")
			switch rapid.IntRange(0, 6).Draw(t, "event") {
			case 0, 1:
				w.Success(open, open)
				if n := w.Size(); n < before || n > before+1 {
					t.Fatalf("a success took the window from %d to %d", before, n)
				}
			case 2:
				cut := w.Loss(open, open)
				if n := w.Size(); n > before || !cut && n != before {
					t.Fatalf("a loss took the window from %d to %d", before, n)
				}
			case 6:
				w.Shrink(open)
				if w.Size() > before {
					t.Fatalf("shrinking took the window from %d to %d", before, w.Size())
				}
			case 3:
				w.Idle(time.Duration(rapid.IntRange(0, 900).Draw(t, "s")) * time.Second)
			case 4:
				w.Restart()
			case 5:
				most = rapid.IntRange(1, 30).Draw(t, "most")
				w.Bound(most)
			}
			if n := w.Size(); n < 1 || n > most {
				t.Fatalf("size %d of %d", n, most)
			}
		}
	})
}

// Against a server that takes k at a time the window rests between 0.7 k and k, and
// what is refused becomes rare. When the server takes more, that is found out.
// Covers D7.
func TestWindowFindsTheServersLimit(t *testing.T) {
	for _, k := range []int{1, 2, 3, 5, 10, 18, 50} {
		w := opened(100)
		refused, taken, sum, rounds := 0, 0, 0, 0
		run := func(k, n int) {
			for range n {
				size := w.Size()
				for i := range size {
					if i < k {
						w.Success(min(size, k), min(size, k))
						taken++
					} else {
						w.Loss(k+1, size)
						refused++
					}
				}
				sum += min(size, k)
				rounds++
			}
		}
		run(k, 200)
		refused, taken, sum, rounds = 0, 0, 0, 0
		run(k, 2000)
		if mean := float64(sum) / float64(rounds); mean < 0.7*float64(k) {
			t.Errorf("limit %d: %.1f at a time", k, mean)
		}
		if refused*20 > taken {
			t.Errorf("limit %d: %d refused, %d taken", k, refused, taken)
		}
		run(2*k, 2000)
		if w.Size()*10 < 2*k*7 {
			t.Errorf("a limit that went from %d to %d is not found out: %d", k, 2*k, w.Size())
		}
	}
}
