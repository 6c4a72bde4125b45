package imap

import (
	"slices"
	"strings"

	"postrider/delivery/mailbox"
)

// listing is what a LIST asks for, and what it finds. Names are in the order of their
// octets everywhere, so that those below another are found by a binary search.
type listing struct {
	patterns patterns

	// Selection options (RFC 9051 section 6.3.9.1): all that are on must hold.
	subscribed bool
	specialUse bool
	recursive  bool // and tell of those above what is selected

	boxes []mailbox.Info
	subs  []string // subscribed to, whether they are there or not
}

// listed is a name that a LIST tells.
type listed struct {
	name       string
	box        *mailbox.Info // nil: there is no such mailbox
	subscribed bool
	children   bool // mailboxes are below it
	childInfo  bool // names are below it that are selected (RFC 9051 section 6.3.9.6)
}

// gather reads the account's names.
func (l *listing) gather(a *mailbox.Account) {
	l.boxes = a.Mailboxes(l.boxes[:0])
	l.subs = a.Subscriptions(l.subs[:0])
}

// find returns the mailbox with this name, or nil.
func (l *listing) find(name string) *mailbox.Info {
	i, ok := slices.BinarySearchFunc(l.boxes, name, func(b mailbox.Info, name string) int { return strings.Compare(b.Name, name) })
	if !ok {
		return nil
	}
	return &l.boxes[i]
}

// hasChildren reports whether mailboxes are below name.
func (l *listing) hasChildren(name string) bool {
	below := name + "/"
	i, _ := slices.BinarySearchFunc(l.boxes, below, func(b mailbox.Info, name string) int { return strings.Compare(b.Name, name) })
	return i < len(l.boxes) && strings.HasPrefix(l.boxes[i].Name, below)
}

// above calls f for the levels above name, the nearest first, until it returns false.
func above(name string, f func(string) bool) {
	for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
		if !f(name[:i]) {
			return
		}
	}
}

// each calls f for what the LIST has to tell, in order.
func (l *listing) each(f func(*listed)) {
	if l.recursive {
		l.eachRecursive(f)
		return
	}
	if l.subscribed {
		for _, name := range l.subs {
			if l.selected(name) && l.patterns.match(name) {
				l.tell(name, false, f)
			}
		}
		return
	}
	var names []string // that are told
	for i := range l.boxes {
		if b := &l.boxes[i]; (!l.specialUse || b.Attributes != 0) && l.patterns.match(b.Name) {
			names = append(names, b.Name)
		}
	}
	if !l.specialUse && slices.ContainsFunc(l.patterns, func(p *pattern) bool { return p.percent }) {
		names = l.addLevels(names)
	}
	for _, name := range names {
		l.tell(name, false, f)
	}
}

// addLevels adds levels that are no mailboxes, for a pattern that ends with "%".
func (l *listing) addLevels(names []string) []string {
	n := len(names)
	last := ""
	for i := range l.boxes {
		above(l.boxes[i].Name, func(level string) bool {
			if level == last {
				return false // and those above it have been seen
			}
			if l.find(level) == nil && l.patterns.matchLevel(level) {
				names = append(names, level)
			}
			return true
		})
		if j := strings.LastIndexByte(l.boxes[i].Name, '/'); j > 0 {
			last = l.boxes[i].Name[:j]
		}
	}
	if len(names) > n {
		slices.Sort(names)
		names = slices.Compact(names)
	}
	return names
}

// selected reports whether a name meets the selection options.
func (l *listing) selected(name string) bool {
	if l.subscribed {
		if _, ok := slices.BinarySearch(l.subs, name); !ok {
			return false
		}
	}
	if l.specialUse {
		b := l.find(name)
		return b != nil && b.Attributes != 0
	}
	return true
}

// eachRecursive is each with RECURSIVEMATCH.
func (l *listing) eachRecursive(f func(*listed)) {
	var chosen []string
	if l.subscribed {
		chosen = slices.DeleteFunc(slices.Clone(l.subs), func(name string) bool { return !l.selected(name) })
	} else {
		for i := range l.boxes {
			if l.selected(l.boxes[i].Name) {
				chosen = append(chosen, l.boxes[i].Name)
			}
		}
	}
	names := make(map[string]bool) // those to be told; true: with CHILDINFO
	for _, name := range chosen {
		matches := l.patterns.match(name)
		if matches {
			names[name] = names[name] || false
		}
		above(name, func(level string) bool {
			// One that is not selected is told only for the sake of what is not
			// told itself (RFC 5258 section 3.5).
			if _, told := names[level]; told || l.patterns.match(level) && (!matches || l.selected(level)) {
				names[level] = true
			}
			return true
		})
	}
	order := make([]string, 0, len(names))
	for name := range names {
		order = append(order, name)
	}
	slices.Sort(order)
	for _, name := range order {
		l.tell(name, names[name], f)
	}
}

func (l *listing) tell(name string, childInfo bool, f func(*listed)) {
	_, subscribed := slices.BinarySearch(l.subs, name)
	f(&listed{name: name, box: l.find(name), subscribed: subscribed, children: l.hasChildren(name), childInfo: childInfo})
}

// eachLSUB calls f for what LSUB has to tell: names that are subscribed to, and, for a
// pattern that ends with "%", levels above others; those are not subscribed (RFC 3501
// section 6.3.9).
func (l *listing) eachLSUB(f func(*listed)) {
	var names []string
	for _, name := range l.subs {
		if l.patterns.match(name) {
			names = append(names, name)
		}
		above(name, func(level string) bool {
			if l.patterns.matchLevel(level) {
				names = append(names, level)
			}
			return true
		})
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		l.tell(name, false, f)
	}
}
