package config

import (
	"errors"
	"strings"

	toml "github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxFileBytes bounds a configuration file. Rules and routes for ten thousand
// domains fit well below it.
const maxFileBytes = 4 << 20

// node is one value of the file with its place. A table has members, an array
// elements, everything else text.
type node struct {
	kind    unstable.Kind // Table, Array, String, Integer, Bool ...; InlineTable becomes Table
	text    string        // a string's value, or the token of any other scalar
	value   span          // the value, or the header of a table
	key     span          // the key that names it; the zero span for an element
	names   []string      // of members, in the order of the file
	members map[string]*node
	elems   []*node
}

// place is where an error about the whole of n is shown.
func (n *node) place() span {
	if n.value.n > 0 {
		return n.value
	}
	return n.key
}

func (n *node) member(name string) *node {
	m := n.members[name]
	if m == nil {
		m = &node{}
		if n.members == nil {
			n.members = map[string]*node{}
		}
		n.members[name] = m
		n.names = append(n.names, name)
	}
	return m
}

// parse reads text into a tree. What go-toml itself refuses (syntax, keys given
// twice, numbers that do not fit) is reported; the tree then holds what stood
// before a syntax error, so that other mistakes can be told at the same time.
func parse(text []byte, r *reporter) *node {
	var all map[string]any
	if err := toml.Unmarshal(text, &all); err != nil {
		var de *toml.DecodeError
		if errors.As(err, &de) {
			line, column := de.Position()
			r.add(span{offset(text, line, column), 1}, strings.TrimPrefix(de.Error(), "toml: "), "")
		} else {
			r.add(span{}, err.Error(), "")
		}
	}
	root := &node{kind: unstable.Table}
	current := root
	var p unstable.Parser
	p.Reset(text)
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table:
			current = root.walk(&p, e.Key())
			current.kind = unstable.Table
		case unstable.ArrayTable:
			list := root.walk(&p, e.Key())
			list.kind = unstable.Array
			current = &node{kind: unstable.Table, value: list.key}
			list.elems = append(list.elems, current)
		case unstable.KeyValue:
			current.set(&p, e)
		}
	}
	return root
}

// walk follows a dotted key to its node, which is made when there is none. In
// an array of tables the way leads through its last element.
func (n *node) walk(p *unstable.Parser, key unstable.Iterator) *node {
	for key.Next() {
		if len(n.elems) > 0 {
			n = n.elems[len(n.elems)-1]
		}
		k := key.Node()
		n = n.member(string(k.Data))
		n.key = span{int(k.Raw.Offset), int(k.Raw.Length)}
		if n.kind == unstable.Invalid {
			n.kind = unstable.Table
		}
	}
	return n
}

func (n *node) set(p *unstable.Parser, e *unstable.Node) {
	m := n.walk(p, e.Key())
	m.fill(p, e.Value())
}

func (n *node) fill(p *unstable.Parser, v *unstable.Node) {
	n.kind = v.Kind
	n.value = span{int(v.Raw.Offset), int(v.Raw.Length)}
	n.elems, n.members, n.names = nil, nil, nil
	switch v.Kind {
	case unstable.Array:
		n.value = span{} // its node has no range: errors are shown at the key
		for it := v.Children(); it.Next(); {
			elem := &node{}
			elem.fill(p, it.Node())
			if elem.place() == (span{}) {
				elem.key = n.key
			}
			n.elems = append(n.elems, elem)
		}
	case unstable.InlineTable:
		n.kind = unstable.Table
		for it := v.Children(); it.Next(); {
			n.set(p, it.Node())
		}
	default:
		n.text = string(v.Data)
	}
}

// offset returns the byte at a line and column, both from 1.
func offset(text []byte, line, column int) int {
	at := 0
	for ; line > 1; line-- {
		n := strings.IndexByte(string(text[at:]), '\n')
		if n < 0 {
			break
		}
		at += n + 1
	}
	return min(at+max(column, 1)-1, len(text))
}

// describe names a kind of value for messages.
func describe(k unstable.Kind) string {
	switch k {
	case unstable.String:
		return "a string"
	case unstable.Integer:
		return "a whole number"
	case unstable.Float:
		return "a decimal number"
	case unstable.Bool:
		return "true or false"
	case unstable.Array:
		return "a list"
	case unstable.Table:
		return "a table"
	}
	return "a date or time"
}
