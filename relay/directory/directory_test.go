package directory

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/mail"
	"postrider/relay/site"
)

var (
	later = mail.NewStatus(451, 4, 4, 3, "no answer from DNS")
	never = mail.NewStatus(550, 5, 1, 2, "no such domain")
)

// world answers look-ups as a test wants.
type world struct {
	mu      sync.Mutex // guards following
	status  mail.Status
	key     string
	asked   map[string]int
	at      []time.Time
	changed []string
	running int
	most    int
}

func (w *world) lookup(ctx context.Context, domain string) (site.Site, mail.Status) {
	w.mu.Lock()
	w.asked[domain]++
	w.at = append(w.at, time.Now())
	w.running++
	w.most = max(w.most, w.running)
	key, status := w.key, w.status
	w.mu.Unlock()
	select {
	case <-time.After(20 * time.Millisecond):
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running--
	if !status.IsZero() {
		return site.Site{}, status
	}
	return site.Site{Key: key, Expires: time.Now().Add(10 * time.Minute)}, mail.Status{}
}

func (w *world) set(key string, st mail.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.key, w.status = key, st
}

func (w *world) count(domain string) (asked, changed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.changed {
		if c == domain {
			changed++
		}
	}
	return w.asked[domain], changed
}

// open returns a Directory in front of a world, for a test in a bubble.
func open(t *testing.T, wanted func(string) bool) (*Directory, *world) {
	w := &world{key: "mx.a.example", asked: map[string]int{}}
	d := New(t.Context(), Options{Lookup: w.lookup, Wanted: wanted, Lookups: 8, Changed: func(domain string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.changed = append(w.changed, domain)
	}})
	t.Cleanup(d.Close)
	return d, w
}

// A domain is looked up once however many ask, its answer is told of once, and a
// domain in use is looked up again before its answer runs out.
func TestADomainInUseNeverWaitsTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, w := open(t, nil)
		for range 100 {
			if a := d.Find([]byte("a.example")); a.Site != nil || !a.Status.IsZero() {
				t.Fatalf("an answer before the look-up: %+v", a)
			}
		}
		time.Sleep(time.Second)
		if a := d.Find([]byte("a.example")); a.Site == nil || a.Site.Key != "mx.a.example" || d.Site("mx.a.example") != a.Site {
			t.Fatalf("%+v", a)
		}
		for range 300 { // 50 minutes: five lives
			time.Sleep(10 * time.Second)
			if !d.Fresh("a.example") {
				t.Fatal("a domain in use has run out")
			}
		}
		if asked, changed := w.count("a.example"); asked < 6 || asked > 8 || changed != 1 {
			t.Errorf("asked %d times, changed %d times", asked, changed)
		}
		w.set("mx.b.example", mail.Status{})
		time.Sleep(9 * time.Minute)
		d.Fresh("a.example")
		time.Sleep(time.Second)
		if a := d.Find([]byte("a.example")); a.Site == nil || a.Site.Key != "mx.b.example" {
			t.Errorf("the domain has moved, its mail goes to %+v", a)
		}
		if _, changed := w.count("a.example"); changed != 2 {
			t.Errorf("told of %d changes, want 2", changed)
		}
	})
}

// What has not been used for long is not believed.
func TestAnIdleAnswerRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, w := open(t, nil)
		d.Find([]byte("a.example"))
		time.Sleep(11 * time.Minute)
		w.set("", never)
		if d.Fresh("a.example") {
			t.Fatal("an old answer is fresh")
		}
		if a := d.Find([]byte("a.example")); a.Site != nil {
			t.Fatalf("an old answer: %+v", a)
		}
		time.Sleep(time.Second)
		if a := d.Find([]byte("a.example")); !a.Status.Permanent() {
			t.Errorf("%+v, want a refusal", a)
		}
		w.set("mx.c.example", mail.Status{})
		time.Sleep(refusalLife)
		d.Fresh("a.example")
		time.Sleep(time.Second)
		if a := d.Find([]byte("a.example")); a.Site == nil {
			t.Errorf("a refusal stands for ever: %+v", a)
		}
	})
}

// Without DNS every domain waits, is asked for less and less, and comes back by
// itself; nothing is refused.
func TestAnOutageOfDNSIsWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, w := open(t, nil)
		w.set("mx.a.example", later)
		const domains = 500
		for i := range domains {
			d.Find(fmt.Appendf(nil, "d%d.example", i))
		}
		time.Sleep(8 * time.Hour)
		synctest.Wait()
		if w.most > 8 {
			t.Errorf("%d look-ups at a time, want at most 8", w.most)
		}
		for i := range domains {
			name := fmt.Sprintf("d%d.example", i)
			a := d.Find([]byte(name))
			if a.Site != nil || a.Status.Code != 451 || a.Next.IsZero() || time.Since(a.Since) < 7*time.Hour {
				t.Fatalf("%s: %+v", name, a)
			}
			if asked, _ := w.count(name); asked < 12 || asked > 30 {
				t.Fatalf("%s was asked for %d times in 8 hours", name, asked)
			}
		}
		w.set("mx.a.example", mail.Status{})
		d.Retry("d7.example") // an operator need not wait
		time.Sleep(time.Second)
		if a := d.Find([]byte("d7.example")); a.Site == nil {
			t.Errorf("after Retry: %+v", a)
		}
		time.Sleep(40 * time.Minute)
		if _, unknown := d.Domains(); unknown > 0 {
			t.Errorf("%d domains are still without an answer", unknown)
		}
	})
}

// A failing look-up does not end an answer that still holds.
func TestAFailureLeavesWhatHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, w := open(t, nil)
		d.Find([]byte("a.example"))
		time.Sleep(time.Second)
		w.set("", later)
		for range 58 {
			time.Sleep(10 * time.Second)
			if !d.Fresh("a.example") {
				t.Fatal("gone before its time")
			}
		}
		time.Sleep(time.Minute)
		if d.Fresh("a.example") {
			t.Error("it has run out, and DNS says nothing, but it is believed")
		}
	})
}

// A domain that no mail waits for any more is forgotten, not asked for ever.
func TestUnwantedDomainsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, w := open(t, func(string) bool { return false })
		w.set("", later)
		d.Find([]byte("a.example"))
		time.Sleep(24 * time.Hour)
		if all, _ := d.Domains(); all != 0 {
			t.Errorf("%d domains are remembered", all)
		}
		if asked, _ := w.count("a.example"); asked != 1 {
			t.Errorf("asked for %d times", asked)
		}
	})
}

// New rules make every answer void.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, w := open(t, nil)
		d.Find([]byte("a.example"))
		time.Sleep(time.Second)
		w.set("mx.other.example", mail.Status{})
		d.Forget()
		if a := d.Find([]byte("a.example")); a.Site != nil {
			t.Errorf("%+v", a)
		}
		time.Sleep(time.Second)
		if a := d.Find([]byte("a.example")); a.Site == nil || a.Site.Key != "mx.other.example" {
			t.Errorf("%+v", a)
		}
	})
}

// An answer to a question from before Forget is not believed.
func TestForgetDuringALookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, w := open(t, nil)
		w.set("mx.old.example", mail.Status{})
		d.Find([]byte("a.example"))
		time.Sleep(10 * time.Millisecond) // half of it
		w.set("mx.new.example", mail.Status{})
		d.Forget()
		time.Sleep(time.Second)
		if a := d.Find([]byte("a.example")); a.Site == nil || a.Site.Key != "mx.new.example" {
			t.Errorf("%+v", a)
		}
	})
}

// Refresh looks up what mail waits for and nobody has asked for since it ran out, and
// leaves the old answer until there is another.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, w := open(t, func(domain string) bool { return domain == "a.example" })
		w.set("mx.old.example", mail.Status{})
		d.Find([]byte("a.example"))
		d.Find([]byte("b.example"))
		time.Sleep(9 * time.Minute)
		d.Refresh()
		time.Sleep(2 * time.Minute)
		w.set("mx.new.example", mail.Status{})
		d.Refresh()
		time.Sleep(time.Second)
		d.Refresh()
		time.Sleep(time.Second)
		if asked, changed := w.count("a.example"); asked != 2 || changed != 2 {
			t.Errorf("asked %d times, %d changes", asked, changed)
		}
		if asked, _ := w.count("b.example"); asked != 1 {
			t.Errorf("what nobody wants was asked for %d times", asked)
		}
	})
}
