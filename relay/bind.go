package relay

import (
	"bytes"
	"cmp"
	"strings"
	"time"

	"postrider/internal/mail"
	"postrider/relay/route"
	"postrider/relay/schedule"
	"postrider/relay/site"
)

// The keys of lanes that lead to no server. None can be a site's or a hop's.
const (
	laneResolving = "resolving" // domains that DNS has not answered for
	refusedPrefix = "refused:"  // domains that DNS says no mail goes to

	waivedSuffix = "!may" // of the key of a lane to a named hop whose mail does without TLS
)

// destination is what the key of a lane stands for. It is immutable; a reload may
// put another one in its place.
type destination struct {
	hop      mail.Hop
	plan     *route.Plan // of a hop that is named: login and TLS
	source   string
	site     string // key of the site, or the hop
	gates    string // what the lane's gates call the site; "": the same
	provider string
	waived   bool        // its mail may go in clear, whatever the policies say
	refusal  mail.Status // why no mail goes there, ever
	resolves bool        // it waits for DNS
}

// key names the gates of a lane to d; no other lane has them.
func (d *destination) key() schedule.Key {
	return schedule.Key{Source: d.source, Site: cmp.Or(d.gates, d.site), Provider: d.provider}
}

// bind names the lane of a domain by a via. No domain is the bare postmaster of a
// system that names nobody for it: that mail is held.
func (e *Engine) bind(domain, viaText []byte) string {
	if len(domain) == 0 {
		return e.destine(mail.Hop{Kind: mail.HopHold}.String(), destination{hop: mail.Hop{Kind: mail.HopHold}})
	}
	rules := e.rules.Load()
	v := parseVia(viaText)
	plan := rules.Routes.Lookup(domain, v.selector)
	if plan.Fallback != nil && (v.marks&markFallback != 0 || e.needsFallback(rules, domain, v, plan)) {
		plan = plan.Fallback
	}
	return e.bindPlan(rules, domain, v, plan)
}

// needsFallback reports a plan that leads nowhere at the moment: its lane could not be
// reached, or DNS not asked, as often as the plan has patience.
func (e *Engine) needsFallback(rules *Rules, domain []byte, v via, plan *route.Plan) bool {
	key := e.bindPlan(rules, domain, v, plan)
	if key == laneResolving {
		return e.dir.Find(directoryName(rules, domain, v, plan)).Failed >= plan.FallbackAfter
	}
	return e.isDown(key, plan.FallbackAfter)
}

// bindPlan is bind by a plan that is not replaced by its fallback.
func (e *Engine) bindPlan(rules *Rules, domain []byte, v via, plan *route.Plan) string {
	switch plan.Hop.Kind {
	case mail.HopMX:
		return e.bindMX(rules, domain, v, plan)
	case mail.HopSMTP, mail.HopLMTP:
		d := destination{hop: plan.Hop, plan: plan, site: plan.Lane, waived: v.marks&markWaived != 0}
		d.source = e.sourceFor(rules, plan.Pool, v.source, domain, d.site, "")
		apart := apartness(plan, d.waived)
		d.gates = plan.Lane + apart
		return e.destine(laneKey(plan.Lane, d.source)+apart, d)
	}
	return e.destine(plan.Lane, destination{hop: plan.Hop})
}

// apartness tells lanes to the same named hop apart whose connections differ: by their
// protection and login.
func apartness(plan *route.Plan, waived bool) string {
	s := site.Class(&plan.TLS)
	if plan.Login != nil {
		s += "#" + plan.Login.User
	}
	if waived {
		s += waivedSuffix
	}
	return s
}

// laneKey names the lane by one source to one site.
func laneKey(site, source string) string {
	if source == "" {
		return site
	}
	return site + "@" + source
}

// bindMX is bind for a domain that DNS has a say about.
func (e *Engine) bindMX(rules *Rules, domain []byte, v via, plan *route.Plan) string {
	hop := mail.Hop{Kind: mail.HopMX}
	if e.dir == nil {
		return e.destine(hop.String(), destination{hop: hop})
	}
	a := e.dir.Find(directoryName(rules, domain, v, plan))
	switch {
	case a.Site != nil:
		d := destination{hop: hop, site: a.Site.Key, provider: a.Site.Provider}
		d.source = e.sourceFor(rules, plan.Pool, v.source, domain, d.site, d.provider)
		return e.destine(laneKey(d.site, d.source), d)
	case a.Status.Permanent():
		return e.destine(refusedPrefix+a.Status.String(), destination{hop: mail.Hop{Kind: mail.HopReject}, refusal: a.Status})
	}
	return e.destine(laneResolving, destination{hop: hop, resolves: true})
}

// directoryName is what a domain is called in the directory: by its own name,
// unless a rule that depends on the sender asks for another protection of the
// connection, which makes another site of it.
//
//	name = domain ["|" selector ["|w"]]
func directoryName(rules *Rules, domain []byte, v via, plan *route.Plan) []byte {
	waived := v.marks&markWaived != 0
	if !waived && (len(v.selector) == 0 || plan == rules.Routes.Lookup(domain, nil)) {
		return domain
	}
	name := make([]byte, 0, len(domain)+1+len(v.selector)+2)
	name = append(name, domain...)
	name = append(name, viaSeparator)
	name = append(name, v.selector...)
	if waived {
		name = append(name, viaSeparator, 'w')
	}
	return name
}

// policyOf returns the domain of a name of the directory, and the protection that
// its mail must have.
func (e *Engine) policyOf(name string) (domain string, tls mail.TLSPolicy) {
	rules := e.rules.Load()
	domain, rest, _ := strings.Cut(name, string(viaSeparator))
	selector, waived, _ := strings.Cut(rest, string(viaSeparator))
	if waived != "" {
		return domain, mail.TLSPolicy{}
	}
	plan := rules.Routes.Lookup([]byte(domain), []byte(selector))
	return domain, rules.Routes.TLS([]byte(domain), plan)
}

// rebound is told by the directory of a domain whose answer has changed. An answer
// may come while the queue that asked is being opened; it waits for that.
func (e *Engine) rebound(name string) {
	<-e.hasQueue
	if e.queue == nil {
		return // it could not be opened
	}
	domain, _, _ := strings.Cut(name, string(viaSeparator))
	e.queue.RebindDomain(domain)
}

// sourceFor returns the source that mail of a pool leaves from: the message's own
// one if it is still there and not resting at the site, else another of the pool.
func (e *Engine) sourceFor(rules *Rules, pool *route.Pool, own, domain []byte, siteKey, provider string) string {
	s := rules.Routes.Source(string(own))
	if s != nil && !e.rests(s.Name, siteKey, provider) {
		return s.Name
	}
	other := pool.PickFor(domain, func(s *route.Source) bool { return !e.rests(s.Name, siteKey, provider) })
	switch {
	case other != nil:
		return other.Name
	case s != nil:
		return s.Name // all rest: it waits for its own
	}
	return pool.PickFor(domain, nil).Name
}

// destine notes what a lane's key stands for, and returns the key: another one when
// the site was of another provider before, since the lane's gates are that one's.
func (e *Engine) destine(key string, d destination) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	old, ok := e.dests[key]
	if ok && old.provider != d.provider {
		key += "%" + d.provider
		old, ok = e.dests[key]
	}
	if !ok || old.plan != d.plan {
		d.refusal.Text = bytes.Clone(d.refusal.Text)
		e.dests[key] = &d
	}
	return key
}

// destination returns what a lane's key stands for now.
func (e *Engine) destination(key string) *destination {
	e.mu.Lock()
	defer e.mu.Unlock()
	if d := e.dests[key]; d != nil {
		return d
	}
	return &destination{}
}

// restKey names a source at a provider, or at a site that belongs to none.
type restKey struct{ source, where string }

func whereOf(siteKey, provider string) string {
	if provider != "" {
		return "provider " + provider
	}
	return siteKey
}

// rests reports a source that is left alone at a site, since it is blocked there.
func (e *Engine) rests(source, siteKey, provider string) bool {
	e.restsMu.Lock()
	defer e.restsMu.Unlock()
	until, ok := e.resting[restKey{source, whereOf(siteKey, provider)}]
	return ok && e.o.Clock().Before(until)
}

// leastRest is how long a source that is blocked at a site rests there at least, when
// its pool has another: each try costs a recipient an attempt, and blocks last.
const leastRest = 15 * time.Minute

// rest leaves a source alone at a site until a moment: mail whose pool has another
// one is bound to that.
func (e *Engine) rest(source, siteKey, provider string, until time.Time) {
	e.restsMu.Lock()
	key := restKey{source, whereOf(siteKey, provider)}
	now := e.o.Clock()
	if was, ok := e.resting[key]; ok && now.Before(was) && !was.Add(time.Second).Before(until) {
		e.restsMu.Unlock()
		return // told already
	}
	for k, t := range e.resting {
		if now.After(t) {
			delete(e.resting, k)
		}
	}
	e.resting[key] = until
	e.restsMu.Unlock()
	e.rebindSoon()
}

// downTime is for how long a lane that could not be reached leaves its mail to the
// fallback after its last failure; then it has another chance.
const downTime = 15 * time.Minute

// failure is how often a lane could not be reached.
type failure struct {
	times int // in a row
	until time.Time
}

// failing notes that a lane could not be reached so many times in a row, which may let
// the fallbacks of routes take over.
func (e *Engine) failing(laneKey string, times int) {
	e.restsMu.Lock()
	e.failures[laneKey] = failure{times: times, until: e.o.Clock().Add(downTime)}
	e.restsMu.Unlock()
	e.rebindSoon()
}

// isDown reports a lane that could not be reached so many times.
func (e *Engine) isDown(laneKey string, times int) bool {
	e.restsMu.Lock()
	defer e.restsMu.Unlock()
	f := e.failures[laneKey]
	return f.times >= times && e.o.Clock().Before(f.until)
}

// siteOptions returns what a site may be by the rules in force.
func (e *Engine) siteOptions() *site.Options {
	if o := e.rules.Load().Sites; o != nil {
		return o
	}
	return &site.Options{}
}
