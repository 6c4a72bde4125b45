package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"postrider/delivery/transfer"
	"postrider/delivery/transfer/remote"
	"postrider/internal/admin"
	"postrider/internal/config"
	"postrider/internal/mail"
	"postrider/queue"
	"postrider/relay"
)

// openAdmin starts the operator's interface.
func (a *App) openAdmin() error {
	o := admin.Options{
		Socket:  a.cfg.Admin.Socket,
		HTTP:    a.cfg.Admin.HTTP,
		Queue:   operatorQueue{a.engine},
		Status:  a.status,
		Checks:  a.checks,
		Metrics: a.metrics.Handler(),
		Explain: a.explain,
		Backup:  a.backup,
		Failed: func(err error) {
			a.diag.Error("the operator's interface ended: " + err.Error())
		},
	}
	if a.mailboxes != nil {
		o.Mailboxes = remote.NewHandler(transfer.Local{Store: a.mailboxes})
	}
	if a.cfg.Admin.TLS {
		o.TLS = a.certs.Config()
	}
	if a.cfg.Admin.TokenFile != "" {
		token, err := readToken(a.cfg.Admin.TokenFile)
		if err != nil {
			return err
		}
		o.Token = token
	}
	var err error
	a.admin, err = admin.Start(o)
	return err
}

func readToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("admin token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", fmt.Errorf("admin token: %s is empty", path)
	}
	return token, nil
}

// checks are what readiness depends on.
func (a *App) checks() []admin.Check {
	healthy := a.engine.Queue().Healthy()
	store := admin.Check{Name: "store", OK: healthy == nil}
	if healthy != nil {
		store.Reason = healthy.Error()
	}
	draining := admin.Check{Name: "accepting", OK: !a.draining.Load()}
	if !draining.OK {
		draining.Reason = "draining"
	}
	events := admin.Check{Name: "event_log", OK: true}
	if s := a.log.Stats(); s.Err != nil {
		events.OK, events.Reason = false, s.Err.Error()
	}
	schedule := admin.Check{Name: "schedule", OK: true}
	select {
	case <-a.engine.Queue().Loaded():
	default:
		schedule.Reason = "the schedule of waiting mail is being rebuilt; new mail moves already"
	}
	return []admin.Check{store, draining, events, schedule}
}

// status is the system at a glance.
func (a *App) status() admin.Status {
	l := a.engine.Ledger()
	reload := a.reloaded.Load()
	s := admin.Status{
		Version: a.o.Version, Hostname: reload.cfg.Hostname, PID: os.Getpid(), Started: a.start,
		ConfigPath: reload.cfg.Path, ConfigLoaded: reload.at,
		Ledger: admin.Ledger{
			Accepted: l.Inherited + l.Accepted, Ended: l.Ended, Queued: l.Queued, Imbalance: l.Imbalance(),
		},
		LogDropped: a.log.Stats().Dropped,
	}
	if reload.err != nil {
		s.ReloadError = reload.err.Error()
	}
	for _, v := range a.servers {
		n := v.counts()
		s.Listeners = append(s.Listeners, admin.ListenerStatus{
			Address: v.listener.Addr().String(), Service: string(v.conf.Service),
			Connections: n.Connections, Messages: n.Messages,
		})
	}
	q := a.queueCounts()
	s.QueueBytes, s.DiskFreeBytes = q.Bytes, q.DiskFreeBytes
	for _, c := range q.States {
		s.Queue = append(s.Queue, admin.StateCount{
			State: c.State, Messages: c.Messages, Recipients: c.Recipients, OldestSec: c.Oldest.Seconds(),
		})
	}
	for _, lane := range a.engine.Lanes() {
		s.Sites = append(s.Sites, siteStatus(lane))
	}
	s.Problems = a.problems(&s)
	return s
}

// problems is what of a status an operator should be told first.
func (a *App) problems(s *admin.Status) []admin.Problem {
	var list []admin.Problem
	say := func(level admin.Level, format string, args ...any) {
		list = append(list, admin.Problem{Level: level, Text: fmt.Sprintf(format, args...)})
	}
	for _, c := range a.checks() {
		if !c.OK {
			say(admin.LevelCritical, "%s: %s", c.Name, c.Reason)
		}
	}
	if s.Ledger.Imbalance != 0 {
		say(admin.LevelCritical, "ledger: %d recipients are not accounted for", s.Ledger.Imbalance)
	}
	if s.ReloadError != "" {
		say(admin.LevelWarning, "the last reload was refused, the configuration before it is in force: %s", s.ReloadError)
	}
	if a.engine.ExpirySuspended() {
		say(admin.LevelWarning, "the clock has leapt, so nothing that waits expires; if it is right: postrider queue confirm-clock")
	}
	if s.LogDropped > 0 {
		say(admin.LevelWarning, "%d events could not be written to the log", s.LogDropped)
	}
	for _, site := range s.Sites {
		if site.State == admin.StateBackoff {
			say(admin.LevelWarning, "%s can not be reached: %s", site.Site, site.LastReply)
		}
	}
	for _, c := range s.Queue {
		if c.Recipients > 0 && (c.State == "failed" || c.State == "quarantined") {
			say(admin.LevelWarning, "%d recipients are %s", c.Recipients, c.State)
		}
	}
	if left := time.Until(a.certs.NotAfter()); left < 14*24*time.Hour && !a.certs.SelfSigned() {
		say(admin.LevelWarning, "the certificate ends in %s", left.Round(time.Hour))
	}
	return list
}

// reloadState is how the last load of the configuration went.
type reloadState struct {
	cfg *config.Config // in force
	at  time.Time      // when the configuration in force was loaded
	err error          // of the last attempt
}

// operatorQueue is the queue as the operator's interface sees it.
type operatorQueue struct{ e *relay.Engine }

func (o operatorQueue) List(ctx context.Context, s admin.Selector, yield func(*admin.Message) bool) error {
	filter, err := filterOf(s)
	if err != nil {
		return err
	}
	return o.e.Queue().List(ctx, filter, func(it *queue.Item) bool { return yield(o.message(it)) })
}

func (o operatorQueue) Raw(_ context.Context, id mail.ID) (io.ReadCloser, int64, error) {
	body, release, err := o.e.Queue().Body(id)
	if errors.Is(err, queue.ErrNotFound) {
		return nil, 0, admin.ErrNotFound
	}
	if err != nil {
		return nil, 0, err
	}
	return &rawBody{body.Reader(), release}, body.Size(), nil
}

type rawBody struct {
	io.Reader
	release func()
}

func (r *rawBody) Close() error {
	r.release()
	return nil
}

func (o operatorQueue) Act(ctx context.Context, a admin.Action, s admin.Selector, actor, reason string) (admin.ActionResult, error) {
	filter, err := filterOf(s)
	if err != nil {
		return admin.ActionResult{}, err
	}
	var do func(context.Context, queue.Filter, string, string) (queue.ActionResult, error)
	switch a {
	case admin.ActionRetry:
		do = o.e.Retry
	case admin.ActionHold:
		do = o.e.Hold
	case admin.ActionRelease:
		do = o.e.Release
	case admin.ActionBounce:
		do = o.e.Bounce
	case admin.ActionDrop:
		do = o.e.Drop
	default:
		return admin.ActionResult{}, fmt.Errorf("%w: no action %q", admin.ErrSelector, a)
	}
	r, err := do(ctx, filter, actor, reason)
	return admin.ActionResult{Matched: r.Matched, Done: r.Done, Skipped: r.Skipped + r.Pending}, err
}

func (o operatorQueue) ConfirmClock() (bool, error) { return o.e.ConfirmClock() }

// filterOf translates a selector.
func filterOf(s admin.Selector) (queue.Filter, error) {
	f := queue.Filter{
		IDs: s.IDs, After: s.After, From: s.From, FromDomain: s.FromDomain, To: s.To, ToDomain: s.ToDomain,
		Lane: s.Lane, Code: s.Code, Enhanced: s.Enhanced, OlderThan: s.OlderThan, NewerThan: s.NewerThan,
		MinAttempts: s.MinAttempts, MinSize: s.MinSize, Limit: s.Limit,
	}
	if s.State != "" {
		state, ok := queue.ParseState(s.State)
		if !ok || state.Terminal() {
			return f, fmt.Errorf("%w: state %q", admin.ErrSelector, s.State)
		}
		f.State = state
	}
	return f, nil
}

// message translates an item.
func (o operatorQueue) message(it *queue.Item) *admin.Message {
	env := it.Envelope
	m := &admin.Message{
		ID: env.ID.String(), Arrived: time.UnixMicro(env.ArrivedMicro).UTC(), From: string(env.Sender),
		Size: env.SizeBytes, NumRcpt: len(env.Recipients), Helo: string(env.Helo), User: string(env.User),
		Listener: string(env.Listener), Protocol: string(env.Protocol), TLS: string(env.TLS),
		Session: strconv.FormatUint(env.Session, 16), Recipients: make([]admin.Recipient, 0, len(it.Recipients)),
	}
	if env.Client.IsValid() {
		m.Client = env.Client.String()
	}
	for i := range it.Recipients {
		m.Recipients = append(m.Recipients, o.recipient(env, &it.Recipients[i]))
	}
	return m
}

var _ admin.Queue = operatorQueue{}
