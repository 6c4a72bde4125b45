package auth

import "time"

// A bucket of failures is the moment at which all of it will be forgiven (the
// generic cell rate algorithm); the zero time is an empty record.

// burst is the bound; a negative one never binds.
func (a Allowance) burst() int {
	if a.Burst < 0 {
		return int(^uint(0) >> 1)
	}
	return a.Burst
}

// used is how many failures still count at now.
func used(forgiven, now time.Time, a Allowance) int {
	rest := forgiven.Sub(now)
	if forgiven.IsZero() || rest <= 0 {
		return 0
	}
	return int((rest + a.Interval - 1) / a.Interval)
}

// take adds one failure, and keeps the record within the burst.
func take(forgiven, now time.Time, a Allowance) time.Time {
	if forgiven.Before(now) {
		forgiven = now
	}
	forgiven = forgiven.Add(a.Interval)
	if most := now.Add(time.Duration(a.Burst) * a.Interval); a.Burst > 0 && forgiven.After(most) {
		return most
	}
	return forgiven
}

// table keeps the records of at most limit keys, in two halves as cache does: those
// that were not asked for longest go first. Its owner guards it.
type table[K comparable] struct {
	limit      int
	young, old map[K]time.Time
}

func (t *table[K]) get(key K) (time.Time, bool) {
	if at, ok := t.young[key]; ok {
		return at, true
	}
	at, ok := t.old[key]
	if ok {
		delete(t.old, key)
		t.put(key, at)
	}
	return at, ok
}

func (t *table[K]) put(key K, at time.Time) {
	if _, ok := t.young[key]; !ok && (t.young == nil || len(t.young) >= max(1, t.limit/2)) {
		t.old, t.young = t.young, make(map[K]time.Time)
	}
	t.young[key] = at
}

func (t *table[K]) len() int { return len(t.young) + len(t.old) }
