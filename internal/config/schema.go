package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// field is one key of a table that is decoded into a T.
type field[T any] struct {
	name    string
	kind    string // the type, for the documentation
	byDflt  string // the default as a file would write it
	allowed string // the range or the values allowed
	doc     string
	set     func(d *decoder, t *T, n *node)
}

// section is one table of the file.
type section struct {
	name     string // "" is the top level
	repeated bool   // [[name]]
	doc      string
	fields   []fieldDoc
	decode   func(d *decoder, c *Config, n *node)
	inner    []section // tables below this one, with their whole names
}

// with adds tables below s.
func (s section) with(inner ...section) section {
	outer := s.decode
	s.inner = inner
	s.decode = func(d *decoder, c *Config, n *node) {
		own := *n
		own.names = nil
		for _, name := range n.names {
			if s.below(name) == nil {
				own.names = append(own.names, name)
			}
		}
		outer(d, c, &own)
		for _, name := range n.names {
			if in := s.below(name); in != nil {
				in.decode(d, c, n.members[name])
			}
		}
	}
	return s
}

// below returns the table of that name below s, or nil.
func (s section) below(name string) *section {
	for i, in := range s.inner {
		if in.name == s.name+"."+name {
			return &s.inner[i]
		}
	}
	return nil
}

// tables returns every section of the schema, each before those below it.
func tables() (all []section) {
	for _, s := range schema() {
		all = append(all, s)
		all = append(all, s.inner...)
	}
	return all
}

// fieldDoc is what is known of a field without its type.
type fieldDoc struct{ name, kind, byDflt, allowed, doc string }

// decoder carries what setters need.
type decoder struct {
	r    *reporter
	warn *reporter // of what is allowed but cannot be meant
	base string    // folder that relative paths start from
	// at remembers the place of every value that was given, by its path such as
	// "relay.networks[1]", for the checks that follow.
	at   map[string]span
	path string
}

func (d *decoder) mark(name string, n *node) {
	d.at[d.path+name] = n.place()
	for i, e := range n.elems {
		d.at[d.path+name+"["+strconv.Itoa(i)+"]"] = e.place()
	}
}

// single makes the section of a table that may stand once.
func single[T any](name, doc string, of func(*Config) *T, fields ...field[T]) section {
	return section{name: name, doc: doc, fields: docs(fields), decode: func(d *decoder, c *Config, n *node) {
		if n.kind != unstable.Table {
			d.r.add(n.place(), fmt.Sprintf("%q is a table, not %s", name, describe(n.kind)), "write ["+name+"]")
			return
		}
		d.path = name + "."
		d.fields(name, n, func(key string, v *node) bool { return apply(d, fields, of(c), key, v) }, docs(fields))
	}}
}

// several makes the section of a table that may be repeated. The first one in a
// file replaces the defaults.
func several[T any](name, doc string, of func(*Config) *[]T, fresh T, fields ...field[T]) section {
	return section{name: name, repeated: true, doc: doc, fields: docs(fields), decode: func(d *decoder, c *Config, n *node) {
		if n.kind != unstable.Array {
			d.r.add(n.place(), fmt.Sprintf("%q may be repeated", name), "write [["+name+"]]")
			return
		}
		list := of(c)
		*list = nil
		for i, e := range n.elems {
			t := fresh
			if e.kind != unstable.Table {
				d.r.add(e.place(), fmt.Sprintf("%q holds tables, not %s", name, describe(e.kind)), "write [["+name+"]]")
				*list = append(*list, t) // keeps the numbers; without a place it is not checked further
				continue
			}
			d.path = name + "[" + strconv.Itoa(i) + "]."
			d.at[strings.TrimSuffix(d.path, ".")] = e.place()
			d.fields(name, e, func(key string, v *node) bool { return apply(d, fields, &t, key, v) }, docs(fields))
			*list = append(*list, t)
		}
	}}
}

func docs[T any](fields []field[T]) []fieldDoc {
	out := make([]fieldDoc, len(fields))
	for i, f := range fields {
		out[i] = fieldDoc{f.name, f.kind, f.byDflt, f.allowed, f.doc}
	}
	return out
}

func apply[T any](d *decoder, fields []field[T], t *T, key string, v *node) bool {
	for _, f := range fields {
		if f.name == key {
			d.mark(key, v)
			f.set(d, t, v)
			return true
		}
	}
	return false
}

// fields decodes the members of n and reports those that nobody knows.
func (d *decoder) fields(table string, n *node, take func(string, *node) bool, known []fieldDoc) {
	for _, name := range n.names {
		v := n.members[name]
		if take(name, v) {
			continue
		}
		names := make([]string, len(known))
		for i, k := range known {
			names[i] = k.name
		}
		where := "in [" + table + "]"
		if table == "" {
			where = "at the top level"
		}
		for _, s := range tables() {
			if up, last := cutLast(s.name); up == table {
				names = append(names, last)
			}
		}
		d.r.add(v.key, fmt.Sprintf("unknown key %q %s", name, where), d.guess(table, name, names))
	}
}

// cutLast splits a table's name before its last word.
func cutLast(name string) (up, last string) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

// guess proposes a key for one that is unknown: a similar one of the same
// table, or the same one of another table.
func (d *decoder) guess(table, name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	for _, s := range tables() {
		for _, f := range s.fields {
			if f.name == name && s.name != table {
				if s.name == "" {
					return fmt.Sprintf("%q belongs above the first table", name)
				}
				return fmt.Sprintf("%q belongs in [%s]", name, s.name)
			}
		}
	}
	if len(known) <= 8 {
		return "known here: " + strings.Join(known, ", ")
	}
	return ""
}

// want reports a value of the wrong type and returns false.
func (d *decoder) want(n *node, kind unstable.Kind, example string) bool {
	if n.kind == kind {
		return true
	}
	d.r.add(n.place(), fmt.Sprintf("want %s, not %s", describe(kind), describe(n.kind)), example)
	return false
}
