package maillog

import (
	"time"

	"go.uber.org/zap/zapcore"

	"postrider/internal/mail"
)

// SiteChange is a change of how a site, or one flow of mail to it, is treated
// as a whole. There is one event for a site however many recipients wait.
type SiteChange struct {
	Site     string
	Source   string // who it is that sends there; "": the default source
	Provider string // the group that the site belongs to; may be empty
	Flow     string // the one flow that is meant; "": all mail to the site

	Gate   string      // what holds the mail: "breaker", "rate", "flow" ...
	Class  mail.Class  // of the trouble that led to it
	Status mail.Status // the reply that led to it
	Remote mail.Remote // who gave it
	Since  time.Time   // when it began, for Resumed
	Until  time.Time   // when it is tried again, for Suspended
	Limit  float64     // the limit that is in force now, for Limited
	Ready  int         // recipients that wait for it

	Actor  string // who, when an operator did it; "": the program
	Reason string // what the operator gave as the reason
}

// Suspended writes that nothing is sent to a site, or for one flow to it, until
// later.
func (l *Log) Suspended(c *SiteChange) { l.siteChange("suspended", c) }

// Resumed writes that what Suspended told of is over.
func (l *Log) Resumed(c *SiteChange) { l.siteChange("resumed", c) }

// Limited writes that a site is sent less than before.
func (l *Log) Limited(c *SiteChange) { l.siteChange("limited", c) }

func (l *Log) siteChange(name string, c *SiteChange) {
	if l == nil {
		return
	}
	e := l.get()
	e.change = *c
	l.put(name, e, (*event).marshalSiteChange)
}

func (e *event) marshalSiteChange(enc zapcore.ObjectEncoder) {
	c := &e.change
	enc.AddString("site", c.Site)
	source := c.Source
	if source == "" {
		source = c.Remote.Source
	}
	c.Remote.Source = source
	addText(enc, "provider", c.Provider)
	addText(enc, "flow", c.Flow)
	addText(enc, "gate", c.Gate)
	e.addRemote(enc, &c.Remote)
	e.addStatus(enc, &c.Status)
	addText(enc, "class", c.Class.String())
	if !c.Until.IsZero() {
		enc.AddTime("until", c.Until)
	}
	if !c.Since.IsZero() {
		enc.AddTime("since", c.Since)
		enc.AddDuration("t_total_ms", max(0, e.now.Sub(c.Since)))
	}
	if c.Limit > 0 {
		enc.AddFloat64("limit", c.Limit)
	}
	if c.Ready > 0 {
		enc.AddInt64("ready", int64(c.Ready))
	}
	addText(enc, "actor", c.Actor)
	addText(enc, "reason", c.Reason)
}
