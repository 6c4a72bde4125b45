package sink

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Stage is the point of a conversation at which a Rule is asked.
type Stage uint8

// The stages.
const (
	AtConnect Stage = iota // instead of the greeting
	AtHello                // EHLO, LHLO or HELO
	AtMail
	AtRcpt
	AtData // DATA itself; BDAT has no such stage
	AtEnd  // when the text has been read
	stages
)

var stageNames = [stages]string{"connect", "hello", "mail", "rcpt", "data", "end"}

// Rule is one line of a script: at a stage, for some of the cases, do this.
type Rule struct {
	At Stage
	// Domain limits the rule to a domain, or with a leading dot to the domains
	// below it; "" is any. It is the sender's at AtMail and the recipient's at
	// AtRcpt; later it is that of the first recipient who was accepted. AtConnect and
	// AtHello know none.
	Domain string
	// Percent is the share of the cases, spread evenly: with 5, each twentieth.
	// 0 is all of them.
	Percent float64

	Delay time.Duration // waited before anything else
	Drop  bool          // close the connection without a reply; at AtEnd the message has been taken
	Reply string        // sent instead of the usual one, such as "451 4.2.1 later"; "": go on
}

// Script is a list of rules. Of those that fit, the first that fires with a Reply
// or Drop decides; delays add up.
type Script struct {
	rules [stages][]*rule
}

type rule struct {
	Rule
	reply  []byte
	code   int
	spread spread
}

// NewScript checks the rules and makes a Script of them.
func NewScript(rules ...Rule) (*Script, error) {
	s := &Script{}
	for i, r := range rules {
		if r.At >= stages {
			return nil, fmt.Errorf("rule %d: no such stage", i+1)
		}
		if r.Percent < 0 || r.Percent > 100 || math.IsNaN(r.Percent) {
			return nil, fmt.Errorf("rule %d: a share of %v%%", i+1, r.Percent)
		}
		if r.Percent == 0 {
			r.Percent = 100
		}
		nr := &rule{Rule: r}
		nr.Domain = strings.ToLower(r.Domain)
		if r.Reply != "" {
			code, err := replyCode(r.Reply)
			if err != nil {
				return nil, fmt.Errorf("rule %d: %w", i+1, err)
			}
			nr.code, nr.reply = code, []byte(r.Reply+"\r\n")
		}
		s.rules[r.At] = append(s.rules[r.At], nr)
	}
	return s, nil
}

var errReply = errors.New("a reply is 4xx or 5xx and one line of text")

func replyCode(reply string) (int, error) {
	if len(reply) < 3 || strings.ContainsAny(reply, "\r\n") || len(reply) > 3 && reply[3] != ' ' {
		return 0, errReply
	}
	code, err := strconv.Atoi(reply[:3])
	if err != nil || code < 400 || code > 599 {
		return 0, errReply
	}
	return code, nil
}

// DomainRules are rules that let an address choose what becomes of it: by the
// first label of the recipient's domain. "defer" and "reject" answer RCPT,
// "enddefer" and "endreject" the end of the text, "drop" takes the message and
// says nothing, "slow" waits a second before it answers RCPT.
func DomainRules() []Rule {
	return []Rule{
		{At: AtRcpt, Domain: "slow.*", Delay: time.Second},
		{At: AtRcpt, Domain: "defer.*", Reply: "451 4.2.1 try again later"},
		{At: AtRcpt, Domain: "reject.*", Reply: "550 5.1.1 no such user here"},
		{At: AtEnd, Domain: "enddefer.*", Reply: "451 4.3.0 try again later"},
		{At: AtEnd, Domain: "endreject.*", Reply: "554 5.7.1 not taken"},
		{At: AtEnd, Domain: "drop.*", Drop: true},
	}
}

// ParseRules reads a script: a rule on each line, "#" begins a comment.
//
//	STAGE  DOMAIN       SHARE  ACTION
//	rcpt   *            5%     451 4.2.1 try again later
//	rcpt   .slow.test   100%   delay 200ms
//	end    once.test    1%     drop
//
// A stage is connect, hello, mail, rcpt, data or end; a domain is exact, ".suffix",
// "label.*" or "*".
func ParseRules(r io.Reader) ([]Rule, error) {
	var rules []Rule
	in := bufio.NewScanner(r)
	for n := 1; in.Scan(); n++ {
		line, _, _ := strings.Cut(in.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		rule, err := parseRule(strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		rules = append(rules, rule)
	}
	return rules, in.Err()
}

func parseRule(f []string) (Rule, error) {
	var r Rule
	if len(f) < 4 {
		return r, errors.New("want: stage, domain, share, action")
	}
	if err := r.At.UnmarshalText([]byte(f[0])); err != nil {
		return r, err
	}
	if f[1] != "*" {
		r.Domain = f[1]
	}
	share, ok := strings.CutSuffix(f[2], "%")
	p, err := strconv.ParseFloat(share, 64)
	if !ok || err != nil || !(p > 0 && p <= 100) {
		return r, fmt.Errorf("%q is no share above 0%% and up to 100%%", f[2])
	}
	r.Percent = p
	switch {
	case f[3] == "drop" && len(f) == 4:
		r.Drop = true
	case f[3] == "delay" && len(f) == 5:
		if r.Delay, err = time.ParseDuration(f[4]); err != nil || r.Delay < 0 {
			return r, fmt.Errorf("%q is no delay", f[4])
		}
	default:
		r.Reply = strings.Join(f[3:], " ")
		if _, err := replyCode(r.Reply); err != nil {
			return r, err
		}
	}
	return r, nil
}

// verdict is what happens in one case.
type verdict struct {
	delay time.Duration
	drop  bool   // close without a reply; at AtEnd the message has been taken
	lost  bool   // with drop, at AtEnd: it has not
	reset bool   // close with RST
	hang  bool   // say nothing until the peer goes
	reply []byte // nil: the usual one
	code  int
	place *place // whose doing it is; nil: a script's
}

// ask returns the verdict for one case. domain is in lower case.
func (s *Script) ask(at Stage, domain []byte) verdict {
	var v verdict
	if s == nil {
		return v
	}
	for _, r := range s.rules[at] {
		if !r.fits(domain) || !r.fires() {
			continue
		}
		v.delay += r.Delay
		if r.Drop || r.reply != nil {
			v.drop, v.reply, v.code = r.Drop, r.reply, r.code
			return v
		}
	}
	return v
}

func (r *rule) fits(domain []byte) bool {
	want := r.Domain
	switch {
	case want == "":
		return true
	case want[0] == '.':
		return len(domain) > len(want) && string(domain[len(domain)-len(want):]) == want
	case strings.HasSuffix(want, ".*"):
		n := len(want) - 1
		return len(domain) > n && string(domain[:n]) == want[:n]
	}
	return string(domain) == want
}

func (r *rule) fires() bool { return r.Percent == 100 || r.spread.fires(r.Percent/100) }

// spread picks a share of the cases evenly: the nth fires when n times the share
// passes a whole number.
type spread struct{ asked atomic.Uint64 }

func (s *spread) fires(share float64) bool {
	n := float64(s.asked.Add(1))
	return math.Floor(n*share) != math.Floor((n-1)*share)
}
