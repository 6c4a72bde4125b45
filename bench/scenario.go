package bench

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"postrider/bench/sink"
)

// Scenario is what a run does, as a TOML file says it.
type Scenario struct {
	Name string `toml:"-"` // of the file, without .toml

	About  string   `toml:"about"`           // one line: what happens
	Proves string   `toml:"proves"`          // one line: what the figures are good for
	Needs  []string `toml:"needs,omitempty"` // what a server must speak: smtp (default), lmtp, pop3, imap; direct: that there is none

	Server Server      `toml:"server"`
	Load   Load        `toml:"load"`
	Client []Load      `toml:"client,omitempty"` // further generators beside Load
	Idle   []Idle      `toml:"idle,omitempty"`   // clients that hold connections
	DNS    DNS         `toml:"dns"`
	Site   []sink.Site `toml:"site,omitempty"` // behaviour of receivers; the first that fits a domain counts
	Step   []Step      `toml:"step,omitempty"`
	Access Access      `toml:"access"`
	Storm  Storm       `toml:"storm"`
	Expect Expect      `toml:"expect"`

	// Full replaces values of the short form when --full is given; it has the
	// same tables and keys.
	Full map[string]any `toml:"full,omitempty"`
}

// Server is what the server under test is asked to be.
type Server struct {
	Suspended  bool     `toml:"suspended,omitempty"`   // accepts, and delivers only after the load
	RetryFirst Duration `toml:"retry_first,omitempty"` // first pause of a deferred recipient; 0: the server's own
	Disk       string   `toml:"disk,omitempty"`        // "": the scratch folder; "tmpfs:64M": a small file system of its own
	SlowSync   Duration `toml:"slow_sync,omitempty"`   // added to each sync
	TLS        bool     `toml:"tls,omitempty"`
	Auth       bool     `toml:"auth,omitempty"`
	Sink       string   `toml:"sink,omitempty"` // "": the farm; "gosmtp": the second implementation
}

// Load is a generator. Its texts are those of package load.
type Load struct {
	Name     string   `toml:"name,omitempty"`
	Conns    int      `toml:"conns,omitempty"`    // at once; 0: 64
	Pace     string   `toml:"pace,omitempty"`     // closed, poisson:1000, poisson:70%, ...
	Of       string   `toml:"of,omitempty"`       // scenario whose rate of acceptance is 100%
	Messages int64    `toml:"messages,omitempty"` // 0: no limit
	Duration Duration `toml:"duration,omitempty"`
	Warmup   Duration `toml:"warmup,omitempty"`
	Drain    Duration `toml:"drain,omitempty"` // time for the rest to be delivered; 0: 60 s

	Size       string   `toml:"size,omitempty"`
	Shape      string   `toml:"shape,omitempty"`
	Recipients string   `toml:"recipients,omitempty"`
	Domains    string   `toml:"domains,omitempty"`
	Users      int      `toml:"users,omitempty"` // mailboxes written to; 0: an address for each duty
	Sender     string   `toml:"sender,omitempty"`
	Seed       uint64   `toml:"seed,omitempty"`
	LMTP       bool     `toml:"lmtp,omitempty"`
	TLS        string   `toml:"tls,omitempty"` // none, starttls, implicit
	Resume     bool     `toml:"resume,omitempty"`
	Auth       string   `toml:"auth,omitempty"` // mechanism
	Strict     bool     `toml:"no_pipelining,omitempty"`
	BDAT       bool     `toml:"bdat,omitempty"`
	InFlight   int      `toml:"in_flight,omitempty"`
	PerConn    int      `toml:"per_connection,omitempty"`
	Think      Duration `toml:"think,omitempty"`
	Sources    string   `toml:"sources,omitempty"` // addresses to connect from
	Tries      int      `toml:"tries,omitempty"`
}

// Idle is a crowd of connections that send nothing, or nearly nothing.
type Idle struct {
	Conns   int      `toml:"conns"`
	Every   Duration `toml:"every,omitempty"`   // a byte each; 0: silent after EHLO
	Service string   `toml:"service,omitempty"` // smtp (default), pop3, imap
}

// DNS is the world's name service. Without domains the server has one next hop.
type DNS struct {
	Domains int      `toml:"domains,omitempty"` // d0.bench.test and on
	MX      int      `toml:"mx,omitempty"`      // hosts for each domain; 0: 1
	Hosts   int      `toml:"hosts,omitempty"`   // loopback addresses shared by all; 0: 200
	TTL     Duration `toml:"ttl,omitempty"`     // 0: 5 min
	Delay   Duration `toml:"delay,omitempty"`   // of every answer
	Fail    []string `toml:"fail,omitempty"`    // "servfail 10%", "timeout 5%"
}

// Step is something done to the server while it is under load.
type Step struct {
	Do     string   `toml:"do"`               // kill, restart, reload, fill, empty
	At     Duration `toml:"at"`               // since the load began
	Every  Duration `toml:"every,omitempty"`  // and again; 0: once
	Times  int      `toml:"times,omitempty"`  // how often in all; 0: until the load ends
	Jitter bool     `toml:"jitter,omitempty"` // at a random moment within Every
}

// Access is a workload of mailbox readers.
type Access struct {
	Workload string   `toml:"workload,omitempty"` // poll, download, idle, sync, webmail; several with commas
	Protocol string   `toml:"protocol,omitempty"` // pop3 or imap, for those that have both
	Users    int      `toml:"users,omitempty"`
	Fill     int      `toml:"fill,omitempty"` // messages put into each mailbox before
	Conns    int      `toml:"conns,omitempty"`
	Duration Duration `toml:"duration,omitempty"`
	Rate     float64  `toml:"rate,omitempty"`     // sessions a second; 0: closed
	Sessions int64    `toml:"sessions,omitempty"` // in all, of each workload; 0: no limit
	Size     int      `toml:"size,omitempty"`     // bytes of a message; 0: 4096
	TLS      string   `toml:"tls,omitempty"`
}

// Expect is what a run must show beyond a balanced ledger. A zero value asks
// for nothing.
type Expect struct {
	Delivered  bool     `toml:"delivered,omitempty"` // every accepted duty has ended
	NoBounces  bool     `toml:"no_bounces,omitempty"`
	NoUnknown  bool     `toml:"no_unknown,omitempty"` // no connection failed in the middle
	NoRefusals bool     `toml:"no_refusals,omitempty"`
	Duplicates string   `toml:"duplicates,omitempty"` // "none", or "in flight": at most those a kill may repeat
	Violations string   `toml:"violations,omitempty"` // "none": of the limits that sites state
	OfAllowed  float64  `toml:"of_allowed,omitempty"` // share of an allowed rate that must be used
	AcceptP99  Duration `toml:"accept_p99,omitempty"`
	RSS        string   `toml:"rss,omitempty"`      // most resident memory, such as "300M"
	Refusals   string   `toml:"refusals,omitempty"` // "some": a full disk must be said
}

// Duration is a time.Duration as TOML text.
type Duration time.Duration

var (
	_ encoding.TextUnmarshaler = (*Duration)(nil)
	_ encoding.TextMarshaler   = Duration(0)
)

// UnmarshalText reads "1m30s".
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err == nil && v < 0 {
		err = errors.New("a duration below zero")
	}
	*d = Duration(v)
	return err
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// D returns d as the type of package time.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Or returns d, or v when d is zero.
func (d Duration) Or(v time.Duration) time.Duration {
	if d == 0 {
		return v
	}
	return time.Duration(d)
}

// ErrScenario reports a scenario that can't be read or makes no sense.
var ErrScenario = errors.New("scenario")

// Parse reads a scenario. Unknown keys and wrong types are errors that name the
// line. full takes the values of the long form.
func Parse(name string, text []byte, full bool) (*Scenario, error) {
	s := &Scenario{Name: name}
	if err := decode(text, s); err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrScenario, name, err)
	}
	long := s.Full
	s.Full = nil
	if full && len(long) > 0 {
		over, err := toml.Marshal(long)
		if err == nil {
			err = decode(over, s)
		}
		if err != nil {
			return nil, fmt.Errorf("%w %s: [full]: %w", ErrScenario, name, err)
		}
	}
	return s, nil
}

// Override sets one value by its path, such as load.size=4k, as if the file said
// so. The value is taken as TOML, or as a string when it is none.
func (s *Scenario) Override(assignment string) error {
	key, value, ok := strings.Cut(assignment, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !ok || key == "" || strings.ContainsAny(key, " \t\r\n[]\"") {
		return fmt.Errorf("%w %s: %q is no KEY=VALUE", ErrScenario, s.Name, assignment)
	}
	err := decode([]byte(key+" = "+value+"\n"), s)
	if err != nil && !strings.ContainsAny(value, "\"\r\n") {
		if quoted := decode([]byte(key+" = \""+value+"\"\n"), s); quoted == nil {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("%w %s: %s: %w", ErrScenario, s.Name, assignment, err)
	}
	return nil
}

// Text returns the scenario as TOML with everything that was set.
func (s *Scenario) Text() string {
	b, err := toml.Marshal(s)
	if err != nil {
		return "# " + err.Error()
	}
	return string(b)
}

// decode reads text over v, strictly.
func decode(text []byte, v any) error {
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(v)
	var unknown *toml.StrictMissingError
	var wrong *toml.DecodeError
	switch {
	case errors.As(err, &unknown):
		var lines []string
		for _, e := range unknown.Errors {
			row, _ := e.Position()
			lines = append(lines, fmt.Sprintf("line %d: unknown key %s", row, strings.Join(e.Key(), ".")))
		}
		return errors.New(strings.Join(lines, "; "))
	case errors.As(err, &wrong):
		row, column := wrong.Position()
		return fmt.Errorf("line %d, column %d: %s", row, column, strings.TrimPrefix(wrong.Error(), "toml: "))
	}
	return err
}
