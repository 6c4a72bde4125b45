package config

import (
	"errors"
	"strings"

	"postrider/internal/mail"
	"postrider/relay/classify"
)

// repliesShipped is the built-in file, as errors name it.
const repliesShipped = "replies.toml"

// LoadReplies reads a file of reply rules and returns them compiled, together with
// the rules that are built in, which come behind them unless the file says
// shipped = false. With path "" it returns the built-in ones. Every example of a
// rule is tried: one that another rule takes is an error. The error is an Errors.
func LoadReplies(path string) (*classify.Table, error) {
	rules, err := loadReplyRules(path)
	if err != nil {
		return nil, err
	}
	t, err := classify.New(rules)
	if err != nil { // each rule was compiled before
		return nil, Errors{{File: path, Message: err.Error()}}
	}
	return t, nil
}

// ShippedReplies returns the text of the built-in file of reply rules, for an
// operator to read.
func ShippedReplies() string { return shippedText(repliesShipped) }

func shippedText(name string) string {
	text, err := shippedFiles.ReadFile(name)
	if err != nil { // it is part of the program
		return ""
	}
	return string(text)
}

func loadReplyRules(path string) ([]classify.Rule, error) {
	if path == "" {
		own, err := parseReplies(repliesShipped, []byte(ShippedReplies()), nil)
		if err != nil {
			return nil, err
		}
		return own.items, nil
	}
	text, err := readListFile(path)
	if err != nil {
		return nil, err
	}
	return ParseReplies(path, text)
}

// ParseReplies is LoadReplies for a text that was read from the file of that
// name, before the rules are compiled.
func ParseReplies(name string, text []byte) ([]classify.Rule, error) {
	shipped := &listFile[classify.Rule]{table: "rule", fields: replyFields()}
	shipped.decode(repliesShipped, []byte(ShippedReplies()))
	if err := shipped.errors(); err != nil {
		return nil, err
	}
	own, err := parseReplies(name, text, shipped.items)
	if err != nil {
		return nil, err
	}
	if !own.shipped {
		return own.items, nil
	}
	return append(own.items, shipped.items...), nil
}

// parseReplies decodes and checks one file; behind are the rules that follow its
// own.
func parseReplies(name string, text []byte, behind []classify.Rule) (*listFile[classify.Rule], error) {
	l := &listFile[classify.Rule]{table: "rule", fields: replyFields()}
	l.decode(name, text)
	names := map[string]bool{}
	for i := range l.items {
		r := &l.items[i]
		switch {
		case r.Name == "":
			l.d.r.add(l.place(i, "name"), "a rule without a name", `write name = "provider-what"`)
		case names[r.Name]:
			l.d.r.add(l.place(i, "name"), "another rule has the name "+r.Name, "")
		}
		names[r.Name] = true
		if r.Class == mail.ClassNone && r.Action == classify.Keep && !l.given(i, "class") {
			l.d.r.add(l.places[i], "a rule that says nothing", "write a class, an action or both")
		}
		if !l.given(i, "codes") && !l.given(i, "enhanced") && !l.given(i, "pattern") {
			l.d.r.add(l.places[i], "a rule that every reply fits", "write codes, enhanced or a pattern")
		}
	}
	if err := l.errors(); err != nil {
		return nil, err
	}
	if l.shipped {
		behind = append(l.items[:len(l.items):len(l.items)], behind...)
	} else {
		behind = l.items
	}
	t, err := classify.New(behind)
	if err == nil {
		err = t.Verify()
	}
	l.blame(err)
	return l, l.errors()
}

// blame reports the errors of rules at their places; those of rules that are not
// of this file (an example that it now takes) at its head.
func (l *listFile[T]) blame(err error) {
	if err == nil {
		return
	}
	list := []error{err}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		list = joined.Unwrap()
	}
	for _, one := range list {
		var re *classify.RuleError
		switch {
		case !errors.As(one, &re):
			l.d.r.add(span{}, one.Error(), "")
		case re.Index < len(l.items):
			l.d.r.add(l.place(re.Index, "examples"), re.Error(), "")
		}
	}
}

func replyFields() []field[classify.Rule] {
	return []field[classify.Rule]{
		{name: "name", set: text(func(r *classify.Rule) *string { return &r.Name }, parseRuleName)},
		{name: "provider", set: text(func(r *classify.Rule) *string { return &r.Provider }, parseRuleName)},
		{name: "codes", set: list(func(r *classify.Rule) *[]string { return &r.Codes }, func(s string) (string, error) {
			_, _, err := classify.ParseCode(s)
			return s, err
		})},
		{name: "enhanced", set: list(func(r *classify.Rule) *[]string { return &r.Enhanced }, func(s string) (string, error) {
			return s, classify.CheckEnhanced(s)
		})},
		{name: "pattern", set: text(func(r *classify.Rule) *string { return &r.Pattern }, func(s string) (string, error) {
			return s, classify.CheckPattern(s)
		})},
		{name: "class", set: classWord},
		{name: "action", set: actionWord},
		{name: "examples", set: list(func(r *classify.Rule) *[]string { return &r.Examples }, func(s string) (string, error) {
			_, err := classify.ParseReply(s)
			return s, err
		})},
	}
}

// parseRuleName takes words that stand in a log without quotes.
func parseRuleName(s string) (string, error) {
	if s == "" || len(s) > 64 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return "", errors.New("a name is 1 to 64 of a-z, 0-9, \"-\", \"_\" and \".\"")
	}
	return s, nil
}

func classWord(d *decoder, r *classify.Rule, n *node) {
	var words []string
	for c := mail.ClassOther; c < mail.NumClasses; c++ {
		words = append(words, c.String())
	}
	var word string
	oneOf(func(s *string) *string { return s }, words...)(d, &word, n)
	r.Class, _ = mail.ParseClass(word) // an unknown one was reported
}

func actionWord(d *decoder, r *classify.Rule, n *node) {
	var word string
	oneOf(func(s *string) *string { return s }, "keep", "later", "never")(d, &word, n)
	r.Action, _ = classify.ParseAction(word)
}
