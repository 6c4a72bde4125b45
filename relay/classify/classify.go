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
// patterns whose words were found are run, with an engine whose time is linear,
// and not more than a few dozen of them: of a text that is made of the words of
// all, the codes decide. Nothing is allocated.
//
// # Concurrency
//
// A Table is immutable once New has returned; any number of goroutines may use
// it.
package classify

import (
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
		if i := t.first(s, text, provider); i >= 0 {
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

// first returns the first rule that takes the reply, or -1. The words are looked
// for when the first pattern is to be tried.
func (t *Table) first(s mail.Status, text []byte, provider string) int {
	var found groupSets
	looked, runs := false, 0
	open := leavesOpen(s.Enhanced)
	fit := &t.byCode[s.Code-400]
	for i := fit.next(0); i >= 0; i = fit.next(i + 1) {
		r := &t.rules[i]
		switch {
		case r.provider != "" && r.provider != provider:
			continue
		case len(r.enhanced) == 0 && !open, len(r.enhanced) > 0 && !anyFits(r.enhanced, s.Enhanced):
			continue
		case r.first == r.last:
			return i
		}
		if !looked {
			t.words.find(text, &found)
			looked = true
		}
		for p := r.first; p < r.last; p++ {
			c := &t.patterns[p]
			if found[p]&c.needs != c.needs {
				continue
			}
			if c.re == nil {
				return i
			}
			if runs++; runs > maxRuns { // a text made of everybody's words
				return -1
			}
			if c.re.Match(text) {
				return i
			}
		}
	}
	return -1
}
