// Package classify tells what kind of trouble a reply speaks of, whether its
// 4 or 5 can be believed, and how long the peer asks to wait.
//
// Three sources are asked in turn. Rules come first: an operator's and the
// shipped ones, each naming basic codes, enhanced codes, a pattern for the text
// and perhaps a group of receivers. A rule that names no enhanced code is only
// for replies whose own enhanced code leaves the matter open (none, X.7.1 and
// the like), so that "550 5.1.1" stays an unknown user whatever words follow it.
// Then the enhanced code (RFC 3463 and its registry), then the basic code.
// Unknown means other: 4xx comes again, 5xx does not.
//
// # Cost
//
// The text is a stranger's. At most PrefixBytes of it are looked at. One pass of
// an automaton finds the words that patterns cannot match without, and only the
// patterns whose words were found are run, with an engine whose time is linear.
// Nothing is allocated.
//
// # Concurrency
//
// A Table is immutable once New has returned; any number of goroutines may use
// it.
package classify

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"postrider/internal/mail"
)

// PrefixBytes is how much of a reply's text is looked at.
const PrefixBytes = 512

// MaxRules is the most rules a Table takes.
const MaxRules = 1024

// Action says whether the first digit of a reply is believed.
type Action uint8

// The actions.
const (
	Keep  Action = iota // 4xx comes again, 5xx does not
	Later               // another attempt is made whatever the code says
	Never               // no other attempt is made whatever the code says
)

// String returns the word of the rule file; "keep" for Keep.
func (a Action) String() string {
	switch a {
	case Later:
		return "later"
	case Never:
		return "never"
	case Keep:
	}
	return "keep"
}

// ParseAction is the reverse of String; "" is Keep.
func ParseAction(word string) (Action, bool) {
	switch word {
	case "", "keep":
		return Keep, true
	case "later":
		return Later, true
	case "never":
		return Never, true
	}
	return Keep, false
}

// Rule is one line of knowledge about replies. Everything it names must fit; the
// first rule that does wins.
type Rule struct {
	Name     string   // as the log and Verdict.Rule call it
	Provider string   // the group of receivers it is for; "": all
	Codes    []string // "421", "45x", "5xx"; none: 4xx and 5xx
	Enhanced []string // "4.7.0", "x.7.1", "5.7.*", "*"; none: codes that leave the matter open
	Pattern  string   // RE2, letters of either case; "": any text
	Class    mail.Class
	Action   Action
	// Examples are replies that the rule must win, as Verify checks.
	Examples []string
}

// Verdict is what is to be made of a reply.
type Verdict struct {
	Class  mail.Class    // ClassNone for a success
	Action Action        // whether the code is believed
	Wait   time.Duration // what the peer asked for; 0: nothing
	Rule   string        // the rule that decided; "": the codes did
}

// Permanent reports that no further attempt is made after s.
func (v Verdict) Permanent(s mail.Status) bool {
	switch v.Action {
	case Later:
		return false
	case Never:
		return !s.OK()
	case Keep:
	}
	return s.Permanent()
}

// Table is a compiled list of rules. The zero value has none.
type Table struct {
	rules  []rule
	byCode [200]ruleSet // rules by basic code, from 400
	words  automaton    // finds the rules whose words a text has
	plain  ruleSet      // rules that are run without a word
}

type rule struct {
	name     string
	provider string
	enhanced []enhancedPattern
	re       *regexp.Regexp // nil: any text
	class    mail.Class
	action   Action
	examples []string
}

// RuleError is what New says of one rule.
type RuleError struct {
	Index int // of the rule
	Name  string
	Err   error
}

// Error tells the rule and what is wrong with it.
func (e *RuleError) Error() string { return fmt.Sprintf("rule %q: %v", e.Name, e.Err) }

// Unwrap returns the cause.
func (e *RuleError) Unwrap() error { return e.Err }

// New compiles rules; none is fine. The error joins a *RuleError for each rule
// that is wrong.
func New(rules []Rule) (*Table, error) {
	if len(rules) > MaxRules {
		return nil, fmt.Errorf("%d reply rules, at most %d are taken", len(rules), MaxRules)
	}
	t := &Table{rules: make([]rule, len(rules))}
	var errs []error
	build := newBuilder()
	for i := range rules {
		words, err := t.compile(i, &rules[i])
		if err != nil {
			errs = append(errs, &RuleError{i, rules[i].Name, err})
			continue
		}
		if len(words) == 0 {
			t.plain.add(i)
		}
		for _, w := range words {
			build.add(w, i)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	var err error
	if t.words, err = build.build(); err != nil {
		return nil, err
	}
	return t, nil
}

// compile readies rule i and returns the words of which its pattern needs one.
func (t *Table) compile(i int, r *Rule) (words []string, err error) {
	c := rule{name: r.Name, provider: r.Provider, class: r.Class, action: r.Action, examples: r.Examples}
	if r.Name == "" {
		return nil, errors.New("has no name")
	}
	if r.Class >= mail.NumClasses || r.Action > Never {
		return nil, errors.New("has no such class or action")
	}
	if c.enhanced, err = parseEnhancedList(r.Enhanced); err != nil {
		return nil, err
	}
	codes := r.Codes
	if len(codes) == 0 {
		codes = []string{"4xx", "5xx"}
	}
	for _, p := range codes {
		first, last, err := ParseCode(p)
		if err != nil {
			return nil, err
		}
		for n := first; n <= last; n++ {
			if codeFits(n, p) {
				t.byCode[n-400].add(i)
			}
		}
	}
	if r.Pattern != "" {
		if c.re, words, err = compilePattern(r.Pattern); err != nil {
			return nil, err
		}
	}
	t.rules[i] = c
	return words, nil
}

// Classify judges a reply. provider is the name of the group that the receiver
// belongs to, if any. ours says that we made the status up because there was no
// reply: its code is then taken at its word and its text is not looked at. The
// text of s is not kept.
func (t *Table) Classify(s mail.Status, provider string, ours bool) Verdict {
	switch {
	case s.OK():
		return Verdict{}
	case ours:
		return Verdict{Class: ownClass(s)}
	}
	text := s.Text[:min(len(s.Text), PrefixBytes)]
	v := t.judge(s, text, provider)
	if !v.Permanent(s) {
		v.Wait = ParseWait(text)
	}
	return v
}

func (t *Table) judge(s mail.Status, text []byte, provider string) Verdict {
	if s.Code >= 400 && s.Code < 600 && len(t.rules) > 0 {
		fit := t.byCode[s.Code-400]
		found := t.plain
		t.words.find(text, &found)
		fit.and(&found)
		if i := t.first(&fit, s, text, provider); i >= 0 {
			r := &t.rules[i]
			v := Verdict{Class: r.class, Action: r.action, Rule: r.name}
			if v.Class == mail.ClassNone {
				v.Class = codeClass(s)
			}
			return v
		}
	}
	return Verdict{Class: codeClass(s)}
}

// first returns the first rule of fit that takes the reply, or -1.
func (t *Table) first(fit *ruleSet, s mail.Status, text []byte, provider string) int {
	open := leavesOpen(s.Enhanced)
	for i := fit.next(0); i >= 0; i = fit.next(i + 1) {
		r := &t.rules[i]
		switch {
		case r.provider != "" && r.provider != provider:
		case len(r.enhanced) == 0 && !open, len(r.enhanced) > 0 && !anyFits(r.enhanced, s.Enhanced):
		case r.re == nil || r.re.Match(text):
			return i
		}
	}
	return -1
}
