package app

import (
	"time"

	"postrider/internal/admin"
	"postrider/internal/mail"
	"postrider/queue"
	"postrider/relay"
	"postrider/relay/schedule"
)

// recipient tells of one that has not ended, and why it has not.
func (o operatorQueue) recipient(env *mail.Envelope, r *queue.RecipientState) admin.Recipient {
	status, remote, class := o.e.Split(r.Status)
	a := admin.Recipient{
		RID: r.Index + 1, State: r.State.String(), Lane: r.Lane, Flow: r.Flow, Attempts: int(r.Attempts),
	}
	var domain []byte
	if r.Index < len(env.Recipients) {
		a.To = string(env.Recipients[r.Index].Address)
		domain = mail.DomainOf(env.Recipients[r.Index].Address)
	}
	w := o.e.Why(r.Lane, string(domain))
	a.Site, a.Source = w.Site, w.Source
	if r.State == queue.Deferred {
		due := r.Due.UTC()
		a.Due = &due
	}
	a.Why = why(r, &w, reason(status, remote))
	if status.IsZero() && r.State == queue.Ready {
		status, class = w.Reason, w.Class // nothing was said of it yet, but of its site
	}
	a.Code, a.Enhanced, a.Reply = int(status.Code), string(status.Enhanced.AppendText(nil)), string(status.Text)
	a.Class = class.String()
	return a
}

// reason is a reply with the host that gave it.
func reason(s mail.Status, remote string) string {
	switch {
	case s.IsZero():
		return ""
	case remote == "":
		return s.String()
	}
	return remote + " said: " + s.String()
}

// why names the gate of a recipient: that of its state, or of its lane.
func why(r *queue.RecipientState, w *relay.Wait, last string) *admin.Why {
	switch {
	case r.State == queue.Deferred:
		return admin.NewWhy(admin.GateRetry, time.Time{}, r.Due, last)
	case r.State != queue.Ready:
		return admin.NewWhy(admin.GateOf(r.State.String()), time.Time{}, time.Time{}, last)
	case w.DNS:
		return admin.NewWhy(admin.GateDNS, w.Since, w.Until, reason(w.Reason, ""))
	case w.Route:
		return admin.NewWhy(admin.GateNoRoute, w.Since, w.Until, reason(w.Reason, ""))
	case w.Dials:
		return admin.NewWhy(admin.GateConnect, time.Time{}, time.Time{}, "")
	case w.Gate == schedule.GateNone:
		return admin.NewWhy(admin.GateTurn, time.Time{}, time.Time{}, "")
	}
	return admin.NewWhy(w.Gate.String(), w.Since, w.Until, reason(w.Reason, w.Remote))
}

// siteStatus tells how a lane stands.
func siteStatus(l relay.LaneState) admin.SiteStatus {
	s := admin.SiteStatus{
		Site: l.Site, Source: l.Source, Provider: l.Provider, Ready: l.Ready, Deferred: l.Waiting - l.Ready,
		Connections: l.Connections, Limit: float64(l.Window), RatePerSec: l.PerSecond, LastClass: l.Class.String(),
	}
	if l.Key != l.Site {
		s.Lane = l.Key
	}
	if !l.Reason.IsZero() {
		s.LastReply = l.Reason.String()
	}
	switch {
	case l.Resolves && l.Ready > 0:
		s.Why = admin.NewWhy(admin.GateDNS, l.Since, time.Time{}, s.LastReply)
	case l.Gate != schedule.GateNone && l.Ready > 0:
		s.Why = admin.NewWhy(l.Gate.String(), l.Since, l.PausedUntil, s.LastReply)
	}
	s.State = admin.StateOf(s.Why)
	return s
}
