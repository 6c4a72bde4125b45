package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/internal/dns"
	"postrider/internal/mail"
	"postrider/internal/maillog"
	"postrider/internal/metrics"
	"postrider/queue"
	"postrider/relay/policy"
	"postrider/relay/route"
	"postrider/relay/schedule"
	"postrider/relay/site"
)

// fakeDNS gives every domain "d.<site>" the exchangers of its site, on the addresses
// that fakeMX knows.
type fakeDNS struct {
	hosts  int         // exchangers of each site
	broken atomic.Bool // nothing is answered
	asked  atomic.Int64
	moved  *atomic.Bool // every domain has the exchangers of the site s2 instead; nil: none has
}

var errNoDNS = &dns.Error{Kind: dns.ErrTemporary}

func (d *fakeDNS) MX(_ context.Context, domain string) (dns.MX, error) {
	d.asked.Add(1)
	if d.broken.Load() {
		return dns.MX{}, errNoDNS
	}
	_, siteName, _ := cut(domain)
	if d.moved != nil && d.moved.Load() {
		siteName = "s2.example"
	}
	m := dns.MX{Facts: dns.Facts{TTL: time.Hour}}
	for i := range d.hosts {
		m.Hosts = append(m.Hosts, dns.Exchanger{Host: fmt.Sprintf("mx%d.%s", i, siteName), Preference: 10})
	}
	return m, nil
}

func (d *fakeDNS) Addresses(_ context.Context, host string) (dns.Addresses, error) {
	if d.broken.Load() {
		return dns.Addresses{}, errNoDNS
	}
	var i, s int
	if _, err := fmt.Sscanf(host, "mx%d.s%d.example", &i, &s); err != nil {
		return dns.Addresses{}, err
	}
	return dns.Addresses{V4: []netip.Addr{netip.AddrFrom4([4]byte{198, 51, byte(s), byte(i + 1)})}, Facts: dns.Facts{TTL: time.Hour}}, nil
}

func cut(domain string) (first, rest string, ok bool) {
	for i := range domain {
		if domain[i] == '.' {
			return domain[:i], domain[i+1:], true
		}
	}
	return domain, "", false
}

// fakeMX is every mail exchanger of the world: answer says what a transaction comes
// to, reach whether a connection does.
type fakeMX struct {
	latency time.Duration // of a transaction
	reach   func(a netip.Addr) mail.Status
	answer  func(a netip.Addr, d *mail.Delivery) mail.Status

	mu        sync.Mutex // guards following
	delivered int64      // transactions
	open      map[netip.Addr]int
	at        []time.Time // of deliveries, when asked for
	keep      bool
}

func (m *fakeMX) Serve(ctx context.Context, quiet <-chan struct{}, eg *mail.Egress, src mail.Source) error {
	var target mail.Target
	last := statusNoConnection
	targets := eg.Targets
	if len(targets) == 0 { // a hop that is named
		targets = []mail.Target{{Host: eg.Hop.Address, Addr: netip.MustParseAddrPort(eg.Hop.Address)}}
	}
	for _, t := range targets {
		st := m.reach(t.Addr.Addr())
		if st.IsZero() {
			target = t
			break
		}
		last = st
		eg.Heard(mail.Hearing{Target: t, Status: st, Class: mail.ClassConnection})
	}
	if !target.Addr.IsValid() {
		return &routeError{last}
	}
	time.Sleep(m.latency)
	eg.Heard(mail.Hearing{Target: target, Connect: true, Micros: m.latency.Microseconds()})
	addr := target.Addr.Addr()
	m.count(addr, 1)
	defer m.count(addr, -1)
	for d := src.Next(ctx, 5*time.Second); d != nil; d = src.Next(ctx, 5*time.Second) {
		time.Sleep(m.latency)
		d.Remote = mail.Remote{Host: target.Host, Addr: target.Addr, Session: 1, Source: eg.Source.Name}
		st := m.answer(addr, d)
		d.SetRest(st)
		m.took(st)
		src.Done(d)
	}
	return nil
}

func (m *fakeMX) count(a netip.Addr, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open == nil {
		m.open = make(map[netip.Addr]int)
	}
	m.open[a] += n
}

func (m *fakeMX) took(st mail.Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if st.OK() {
		m.delivered++
		if m.keep {
			m.at = append(m.at, time.Now())
		}
	}
}

// lines counts the event lines by event.
type lines struct {
	mu     sync.Mutex // guards following
	events map[string]int
	all    int
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.events == nil {
		l.events = make(map[string]int)
	}
	for line := range bytes.Lines(p) {
		l.all++
		if _, rest, ok := bytes.Cut(line, []byte(`"ev":"`)); ok {
			ev, _, _ := bytes.Cut(rest, []byte(`"`))
			l.events[string(ev)]++
		}
	}
	return len(p), nil
}

func (l *lines) of(event string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events[event]
}

func (l *lines) total() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

// countingFS counts the bytes that are written through it.
type countingFS struct {
	vfs.FS
	written atomic.Int64
}

type countingFile struct {
	vfs.File
	fs *countingFS
}

func (f countingFile) Write(p []byte) (int, error) {
	f.fs.written.Add(int64(len(p)))
	return f.File.Write(p)
}

func (f countingFile) WriteAt(p []byte, at int64) (int, error) {
	f.fs.written.Add(int64(len(p)))
	return f.File.WriteAt(p, at)
}

func (c *countingFS) Create(name string, k vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.Create(name, k)
	return countingFile{f, c}, err
}

func (c *countingFS) OpenReadWrite(name string, k vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := c.FS.OpenReadWrite(name, k, o...)
	return countingFile{f, c}, err
}

func (c *countingFS) ReuseForWrite(old, name string, k vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.ReuseForWrite(old, name, k)
	return countingFile{f, c}, err
}

// relayWorld is an engine in front of a world of fakes, in a bubble.
type relayWorld struct {
	e   *Engine
	fs  *countingFS
	dns *fakeDNS
	mx  *fakeMX
	log *lines
}

func newRelayWorld(t testing.TB, hosts int, mx *fakeMX, change func(*Options)) *relayWorld {
	w := &relayWorld{fs: &countingFS{FS: vfs.NewMem()}, dns: &fakeDNS{hosts: hosts}, mx: mx, log: new(lines)}
	log, err := maillog.Open(maillog.Options{Output: w.log})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Hostname: "relay.example",
		Queue:    queue.Options{FS: w.fs, Dir: "q", SegmentBytes: 512 << 10},
		Rules: &Rules{
			Access: policy.New(policy.Options{}), Routes: route.New(route.Options{}),
			Sites: &site.Options{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("198.51.0.0/16")}},
		},
		SMTP: mx, Resolver: w.dns, Log: log, Metrics: metrics.New("test", time.Now()),
		Retry: schedule.Retry{}, ClockKept: func() bool { return true },
	}
	if change != nil {
		change(&o)
	}
	if w.e, err = Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.e.Drain(context.Background()), w.e.Close(), log.Close()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	w.e.Start()
	return w
}

// accept takes one message.
func (w *relayWorld) accept(t testing.TB, from, to string) {
	d, err := w.e.Queue().NewDraft(0)
	if err != nil {
		t.Fatal(err)
	}
	env := d.Envelope()
	env.Sender = env.KeepString(from)
	env.Protocol = env.KeepString("ESMTP")
	env.AddRecipient([]byte(to), 0, nil)
	if _, err := d.Write([]byte("Subject: x\r\n\r\nhello\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
}
