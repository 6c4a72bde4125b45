//go:build interop

package interop

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"postrider/access/imap/imaptest"
)

// normal writes a response so that two servers which mean the same say the same:
// numbers that each chooses for itself become a letter, what has no order is sorted,
// what only people read is left out. It is empty for what says nothing.
func normal(r *imaptest.Response) string {
	switch r.Name {
	case "OK", "NO", "BAD", "BYE":
		code := normalCode(r.Code)
		if r.Tag == "*" {
			if code == "" {
				return ""
			}
			return "* " + r.Name + " " + code
		}
		return strings.TrimSpace("tagged " + r.Name + " " + code)
	case "CAPABILITY", "ID":
		return ""
	case "FLAGS":
		return "* FLAGS " + sorted(r.Args[0])
	case "LIST", "LSUB":
		s := "* " + r.Name + " " + sorted(r.Args[0])
		for _, a := range r.Args[1:] {
			s += " " + text(a)
		}
		return s
	case "FETCH":
		return fmt.Sprintf("* %d FETCH (%s)", r.Number, pairs(r.Args[0].List))
	case "STATUS":
		return "* STATUS " + text(r.Args[0]) + " (" + pairs(r.Args[1].List) + ")"
	case "SEARCH", "SORT":
		s := "* " + r.Name
		for _, a := range r.Args {
			if a.Kind == imaptest.List { // (MODSEQ n)
				s += " (MODSEQ M)"
				continue
			}
			s += " " + a.Text
		}
		return s
	case "ESEARCH":
		var items []string
		for i := 0; i < len(r.Args); i++ {
			a := r.Args[i]
			switch {
			case a.Kind == imaptest.List: // (TAG "a1")
			case strings.EqualFold(a.Text, "UID") || i+1 == len(r.Args):
				items = append(items, a.Text)
			default:
				i++
				items = append(items, a.Text+" "+r.Args[i].Text)
				if strings.EqualFold(a.Text, "MODSEQ") {
					items[len(items)-1] = "MODSEQ M"
				}
			}
		}
		slices.Sort(items)
		return "* ESEARCH " + strings.Join(items, " ")
	case "QUOTA", "QUOTAROOT":
		s := "* " + r.Name
		for _, a := range r.Args {
			s += " " + text(a)
		}
		return s
	}
	return r.String()
}

// text writes a string and an atom alike.
func text(n imaptest.Node) string {
	if n.Kind == imaptest.Atom && !n.Nil() {
		n.Kind = imaptest.String
	}
	return n.String()
}

func sorted(n imaptest.Node) string {
	var words []string
	for _, e := range n.List {
		words = append(words, e.String())
	}
	slices.Sort(words)
	return "(" + strings.Join(words, " ") + ")"
}

func pairs(list []imaptest.Node) string {
	var items []string
	for pair := range slices.Chunk(list, 2) {
		if len(pair) < 2 {
			items = append(items, "ODD "+pair[0].String())
			continue
		}
		name := strings.ToUpper(pair[0].Text)
		value := pair[1].String()
		switch name {
		case "FLAGS":
			value = sorted(pair[1])
		case "MODSEQ":
			value = "(M)"
		case "HIGHESTMODSEQ":
			value = "M"
		case "INTERNALDATE", "SAVEDATE":
			if t, err := time.Parse("_2-Jan-2006 15:04:05 -0700", pair[1].Text); err == nil {
				value = t.UTC().String()
				if time.Since(t) < time.Hour {
					value = "NOW"
				}
			}
		case "UIDVALIDITY":
			value = "V"
		case "MAILBOXID":
			value = "(ID)"
		case "BODYSTRUCTURE", "BODY":
			value = strings.ToLower(value) // words of MIME, which have no case
		}
		items = append(items, name+" "+value)
	}
	slices.Sort(items)
	return strings.Join(items, " ")
}

func normalCode(code []imaptest.Node) string {
	if len(code) == 0 {
		return ""
	}
	words := []string{strings.ToUpper(code[0].Text)}
	for _, n := range code[1:] {
		words = append(words, n.String())
	}
	switch words[0] {
	case "CAPABILITY":
		return ""
	case "UIDVALIDITY", "APPENDUID", "COPYUID":
		words[1] = "V"
	case "HIGHESTMODSEQ":
		words[1] = "M"
	case "MAILBOXID":
		words[1] = "(ID)"
	case "PERMANENTFLAGS":
		words[1] = sorted(code[1])
	}
	return "[" + strings.Join(words, " ") + "]"
}
