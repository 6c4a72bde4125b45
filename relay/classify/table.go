package classify

import (
	"errors"
	"fmt"
	"regexp"

	"postrider/internal/mail"
)

// Table is a compiled list of rules. The zero value has none.
type Table struct {
	rules    []rule
	byCode   [200]ruleSet // rules by basic code, from 400
	patterns []choice     // of all rules
	words    automaton    // finds the patterns whose words a text has
}

// choice is a pattern as it is tried.
type choice struct {
	re    *regexp.Regexp // nil: its words say it all
	needs uint8          // groups of words that must have been found
}

type rule struct {
	name     string
	provider string
	enhanced []enhancedPattern
	first    int // its patterns: t.patterns[first:last]; none: any text
	last     int
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
		if err := t.compile(i, &rules[i], build); err != nil {
			errs = append(errs, &RuleError{i, rules[i].Name, err})
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

// compile readies rule i.
func (t *Table) compile(i int, r *Rule, build *builder) (err error) {
	c := rule{name: r.Name, provider: r.Provider, class: r.Class, action: r.Action, examples: r.Examples}
	if r.Name == "" {
		return errors.New("has no name")
	}
	if r.Class >= mail.NumClasses || r.Action > Never {
		return errors.New("has no such class or action")
	}
	if c.enhanced, err = parseEnhancedList(r.Enhanced); err != nil {
		return err
	}
	codes := r.Codes
	if len(codes) == 0 {
		codes = []string{"4xx", "5xx"}
	}
	for _, p := range codes {
		first, last, err := ParseCode(p)
		if err != nil {
			return err
		}
		for n := first; n <= last; n++ {
			if codeFits(n, p) {
				t.byCode[n-400].add(i)
			}
		}
	}
	c.first, c.last = len(t.patterns), len(t.patterns)
	if r.Pattern != "" {
		if c.last, err = t.addPatterns(r.Pattern, build); err != nil {
			return err
		}
	}
	t.rules[i] = c
	return nil
}

// addPatterns readies a rule's pattern and returns where the next one begins.
func (t *Table) addPatterns(text string, build *builder) (int, error) {
	list, err := compilePattern(text)
	if err != nil {
		return 0, err
	}
	if len(t.patterns)+len(list) > maxPatterns {
		return 0, fmt.Errorf("the rules have more than %d patterns with | between them", maxPatterns)
	}
	for _, p := range list {
		c := choice{re: p.re}
		for g, words := range p.groups {
			c.needs |= 1 << g
			for _, w := range words {
				build.add(w, end{uint16(len(t.patterns)), uint8(g)})
			}
		}
		t.patterns = append(t.patterns, c)
	}
	return len(t.patterns), nil
}
