package result

// Audits sums up the audits behind the syncs of some runs.
type Audits struct {
	N               int
	Shared          bool // runs have the figure of the same audit: it is one measurement
	Syncs, Messages int64
}

// AuditsOf finds the audits of runs of one target. Runs whose audits counted the
// very same share one.
func AuditsOf(runs []*Run) (a Audits) {
	type counted struct{ syncs, messages int64 }
	seen := map[counted]bool{}
	measured := 0
	for _, r := range runs {
		c := counted{r.Cost.Syncs, r.Cost.AuditMessages}
		if r.Cost.SyncsBy == "" || c.messages == 0 {
			continue
		}
		measured++
		if !seen[c] {
			seen[c] = true
			a.N++
			a.Syncs += c.syncs
			a.Messages += c.messages
		}
	}
	a.Shared = a.N > 0 && (a.N < measured || a.N == 1)
	return a
}
