package imaptest

import (
	"fmt"
	"strconv"
	"strings"
)

// Node is a value in a response: an atom, a string, NIL or a list.
type Node struct {
	Kind Kind
	Text string // of an atom or a string
	List []Node
}

// Kind says what a Node is.
type Kind uint8

// The kinds of Node.
const (
	Atom Kind = iota
	String
	List
)

// Nil reports NIL.
func (n Node) Nil() bool { return n.Kind == Atom && strings.EqualFold(n.Text, "NIL") }

// String is the node as a protocol would write it, strings always quoted as Go does.
func (n Node) String() string {
	switch n.Kind {
	case String:
		return strconv.Quote(n.Text)
	case List:
		parts := make([]string, len(n.List))
		for i, e := range n.List {
			parts[i] = e.String()
		}
		return "(" + strings.Join(parts, " ") + ")"
	}
	return n.Text
}

// Response is one of a server's.
type Response struct {
	Tag    string // "*", "+" or a command's
	Number uint32 // of EXISTS, EXPUNGE, FETCH
	Name   string // in upper case
	Code   []Node // in the brackets of OK, NO, BAD, BYE, PREAUTH
	Text   string // what people read
	Args   []Node
}

func (r *Response) String() string {
	s := r.Tag
	if r.Number != 0 || r.Name == "EXISTS" || r.Name == "RECENT" {
		s += fmt.Sprint(" ", r.Number)
	}
	if r.Name != "" {
		s += " " + r.Name
	}
	if r.Code != nil {
		code := Node{Kind: List, List: r.Code}.String()
		s += " [" + code[1:len(code)-1] + "]"
	}
	for _, a := range r.Args {
		s += " " + a.String()
	}
	return s
}

// CodeName is the first word of the code, in upper case.
func (r *Response) CodeName() string {
	if len(r.Code) == 0 {
		return ""
	}
	return strings.ToUpper(r.Code[0].Text)
}
