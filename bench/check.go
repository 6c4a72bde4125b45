package bench

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"postrider/bench/load"
)

// Check reports every value of s that makes no sense.
func (s *Scenario) Check() error {
	var wrong []string
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if s.About == "" {
		add("about is empty")
	}
	for _, n := range s.Needs {
		if !slices.Contains([]string{"smtp", "lmtp", "pop3", "imap", "direct"}, n) {
			add("needs: %q is none of smtp, lmtp, pop3, imap, direct", n)
		}
	}
	s.Load.check("load", s.Access.Workload == "", add)
	for i := range s.Client {
		s.Client[i].check("client "+s.Client[i].Name, true, add)
	}
	for _, i := range s.Idle {
		if i.Conns < 1 || i.Conns > 100_000 {
			add("idle.conns: %d is not from 1 to 100000", i.Conns)
		}
	}
	if n := s.Storm; n.Logins < 0 || n.Logins > 50_000 || n.Conns < 0 || n.Conns > 10_000 {
		add("storm: logins are from 0 to 50000, conns from 0 to 10000")
	}
	s.checkServer(add)
	checkDurations("", reflect.ValueOf(s).Elem(), add)
	for _, p := range s.Step {
		if !slices.Contains([]string{"kill", "restart", "reload", "resume", "fill", "empty"}, p.Do) {
			add("step.do: %q is none of kill, restart, reload, resume, fill, empty", p.Do)
		}
		if (p.Do == "fill" || p.Do == "empty") && s.Server.Disk == "" {
			add("step.do: %s needs server.disk, a small file system to fill", p.Do)
		}
	}
	for what, text := range map[string]string{"expect.duplicates": s.Expect.Duplicates, "expect.violations": s.Expect.Violations, "expect.refusals": s.Expect.Refusals} {
		if text != "" && !slices.Contains(strings.Fields(expectWords(what)), strings.ReplaceAll(text, " ", "-")) {
			add("%s: %q is none of %s", what, text, expectWords(what))
		}
	}
	if s.Expect.RSS != "" {
		if _, err := parseBytes(s.Expect.RSS); err != nil {
			add("expect.rss: %v", err)
		}
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return fmt.Errorf("%w %s: %s", ErrScenario, s.Name, strings.Join(wrong, "; "))
	}
	return nil
}

// checkDurations finds numbers without a unit, which TOML lets in as nanoseconds,
// and those below zero.
func checkDurations(key string, v reflect.Value, add func(string, ...any)) {
	if d, ok := v.Interface().(Duration); ok {
		if d < 0 || d > 0 && d < Duration(time.Microsecond) {
			add("%s: a duration has a unit, such as 4s, and is not below zero", key)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range reflect.VisibleFields(v.Type()) {
			if !f.IsExported() {
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
			checkDurations(strings.TrimPrefix(key+"."+name, "."), v.FieldByIndex(f.Index), add)
		}
	case reflect.Slice:
		for i := range v.Len() {
			checkDurations(key, v.Index(i), add)
		}
	}
}

func expectWords(key string) string {
	switch key {
	case "expect.duplicates":
		return "none in-flight"
	case "expect.violations":
		return "none"
	}
	return "some"
}

func (s *Scenario) checkServer(add func(string, ...any)) {
	if d := s.Server.Disk; d != "" {
		size, ok := strings.CutPrefix(d, "tmpfs:")
		if _, err := parseBytes(size); !ok || err != nil {
			add("server.disk: %q is not tmpfs:SIZE", d)
		}
	}
	if s.Server.Sink != "" && s.Server.Sink != "gosmtp" {
		add("server.sink: %q is not gosmtp", s.Server.Sink)
	}
	for _, f := range s.DNS.Fail {
		if _, _, err := parseFail(f); err != nil {
			add("dns.fail: %v", err)
		}
	}
}

// check looks at one generator; needed says whether it must send at all.
func (l *Load) check(name string, needed bool, add func(string, ...any)) {
	if needed && l.Messages == 0 && l.Duration == 0 {
		add("%s: neither messages nor duration", name)
	}
	if l.Conns < 0 || l.Conns > 20_000 {
		add("%s.conns: %d is not from 0 to 20000", name, l.Conns)
	}
	if l.Users > 0 && orElse(l.Recipients, "1") != "1" {
		add("%s: mail for users is accounted for by its text, so that each message has one recipient", name)
	}
	if strings.Contains(withoutStep(l.Pace), "%") && l.Of == "" {
		add("%s.pace: %q is a share, and %s.of names no scenario whose rate it is a share of", name, l.Pace, name)
	}
	if _, err := l.options(100); err != nil {
		add("%s: %v", name, err)
	}
}

// options returns l for package load. base is what 100 % of a rate is, in
// messages a second.
func (l *Load) options(base float64) (load.Options, error) {
	o := load.Options{
		Conns: l.Conns, Messages: l.Messages, Duration: l.Duration.D(), Warmup: l.Warmup.D(),
		Sender: l.Sender, Seed: l.Seed, LMTP: l.LMTP, Strict: l.Strict, BDAT: l.BDAT, InFlight: l.InFlight,
		PerConnection: l.PerConn, Think: l.Think.D(), Tries: l.Tries, Users: l.Users,
	}
	if o.Conns == 0 {
		o.Conns = 64
	}
	var err error
	if o.Pace, err = load.ParsePace(rates(orElse(l.Pace, "closed"), base)); err != nil {
		return o, fmt.Errorf("pace: %w", err)
	}
	if o.Sizes, err = load.ParseSizes(orElse(l.Size, "4096")); err != nil {
		return o, fmt.Errorf("size: %w", err)
	}
	if o.Shape, err = load.ParseShape(orElse(l.Shape, "plain")); err != nil {
		return o, fmt.Errorf("shape: %w", err)
	}
	if o.Recipients, err = load.ParseRecipients(orElse(l.Recipients, "1")); err != nil {
		return o, fmt.Errorf("recipients: %w", err)
	}
	if o.Domains, err = load.ParseDomains(orElse(l.Domains, defaultDomain)); err != nil {
		return o, fmt.Errorf("domains: %w", err)
	}
	if o.Sources, err = ParseSources(l.Sources); err != nil {
		return o, fmt.Errorf("sources: %w", err)
	}
	if !slices.Contains([]string{"", "PLAIN", "LOGIN", "SCRAM-SHA-256"}, l.Auth) {
		return o, fmt.Errorf("auth: %q is none of PLAIN, LOGIN, SCRAM-SHA-256", l.Auth)
	}
	o.NoResumption, o.Auth.Mechanism = !l.Resume, l.Auth
	if o.TLS, err = load.ParseTLS(orElse(l.TLS, "none")); err != nil {
		return o, fmt.Errorf("tls: %w", err)
	}
	return o, nil
}
