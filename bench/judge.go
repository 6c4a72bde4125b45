package bench

import (
	"fmt"
	"time"

	"postrider/bench/result"
)

// judge holds a run against what must always hold, and what its scenario expects.
func (r *round) judge(run *result.Run) {
	l, e := run.Ledger, r.s.Expect
	check := func(ok bool, format string, args ...any) {
		if !ok {
			r.fail(format, args...)
		}
	}
	check(l.Lost <= 0, "%d duties lost%s", l.Lost, r.examples())
	check(l.Corrupted == 0, "%d deliveries corrupted", l.Corrupted)
	check(l.Phantom == 0, "%d refused or unsent duties were delivered", l.Phantom)
	check(l.Strange == 0, "%d deliveries of what was never sent", l.Strange)
	check(r.s.Access.Workload != "" || l.Accepted > 0, "nothing was accepted%s", r.firstError())
	if e.Delivered {
		check(l.Queued == 0, "%d duties were still queued %v after the load", l.Queued, r.drained.Sub(r.loaded).Round(time.Second))
	}
	if e.NoBounces {
		check(l.Bounced == 0, "%d duties bounced", l.Bounced)
	}
	if e.NoUnknown {
		check(l.Unknown == 0, "%d duties ended with a broken connection", l.Unknown)
	}
	if e.NoRefusals {
		check(l.Refused == 0, "%d duties refused", l.Refused)
	}
	if e.Refusals == "some" {
		check(l.Refused > 0, "no duty was refused")
	}
	switch e.Duplicates {
	case "none":
		check(l.Copies == 0, "%d duplicates", l.Copies)
	case "in flight":
		most := r.clock.kills * int64(r.inFlight())
		check(l.Copies <= most, "%d duplicates, at most %d were in flight at %d kills", l.Copies, most, r.clock.kills)
	}
	if e.AcceptP99 > 0 {
		check(run.Load.Response.P99 <= e.AcceptP99.D().Microseconds(), "accept p99 %v, at most %v", time.Duration(run.Load.Response.P99)*time.Microsecond, e.AcceptP99.D())
	}
	if e.RSS != "" {
		most, err := parseBytes(e.RSS)
		check(err == nil && run.Cost.RSSPeakBytes <= most, "%d bytes resident, at most %s", run.Cost.RSSPeakBytes, e.RSS)
	}
	r.judgeSites(run, e)
	for _, a := range run.Access {
		check(a.Violations == 0, "%s %s: %d answers contradict the mailbox", a.Protocol, a.Operation, a.Violations)
	}
	run.Failed = r.failures
}

func (r *round) judgeSites(run *result.Run, e Expect) {
	broken, used, limited := int64(0), 0.0, 0
	for _, d := range run.Domains {
		broken += d.Violations
		if d.OfAllowed > 0 {
			used += d.OfAllowed
			limited++
		}
	}
	if e.Violations == "none" && broken > 0 {
		r.fail("%d violations of the limits that receivers state", broken)
	}
	if e.OfAllowed > 0 && (limited == 0 || used/float64(limited) < e.OfAllowed) {
		r.fail("%.0f%% of the allowed rate was used, at least %.0f%% is expected", 100*used/float64(max(1, limited)), 100*e.OfAllowed)
	}
}

// inFlight is how many duties a kill may repeat: those whose delivery was under
// way, as many as the server may have connections, and those whose outcome was
// not yet on disk. 1000 is what servers have by default or less.
func (r *round) inFlight() int { return 1000 }

// examples names some of what was lost.
func (r *round) examples() string {
	text := ""
	for _, d := range r.ledger.Missing(5) {
		text += fmt.Sprintf(" %v", d)
	}
	if text == "" {
		return ""
	}
	return ", the first of them or of what is queued:" + text
}
