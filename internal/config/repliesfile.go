package config

import (
	"embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Files of rules that are shipped and that an operator can add to.
//
//go:embed replies.toml providers.toml
var shippedFiles embed.FS

// listFile is a file of one kind of table, [[name]], and a few keys above it.
type listFile[T any] struct {
	table  string
	fields []field[T]
	// Built says at its head whether what is built in counts too.
	shipped bool
	items   []T
	places  []span // of each item's header
	d       *decoder
}

// readListFile reads a file as Load does.
func readListFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, Errors{{File: path, Message: reason(err)}}
	}
	defer f.Close() // only read
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, Errors{{File: path, Message: reason(err)}}
	}
	if len(text) > maxFileBytes {
		return nil, Errors{{File: path, Message: "larger than " + FormatSize(maxFileBytes)}}
	}
	return text, nil
}

// decode reads the text of the file of that name. What is wrong is told by l.d.
func (l *listFile[T]) decode(name string, text []byte) {
	l.d = &decoder{r: &reporter{file: name, text: text}, base: filepath.Dir(name), at: map[string]span{}}
	l.shipped = true
	root := parse(text, l.d.r)
	for _, key := range root.names {
		n := root.members[key]
		switch key {
		case "shipped":
			if l.d.want(n, unstable.Bool, "") {
				l.shipped = n.text == "true"
			}
		case l.table:
			l.decodeTables(n)
		default:
			l.unknown(n, key, "at the top level", []string{"shipped", l.table})
		}
	}
}

func (l *listFile[T]) decodeTables(list *node) {
	if list.kind != unstable.Array {
		l.d.r.add(list.place(), fmt.Sprintf("%q may be repeated", l.table), "write [["+l.table+"]]")
		return
	}
	known := make([]string, len(l.fields))
	for i, f := range l.fields {
		known[i] = f.name
	}
	for i, e := range list.elems {
		var t T
		if e.kind != unstable.Table {
			l.d.r.add(e.place(), fmt.Sprintf("%q holds tables, not %s", l.table, describe(e.kind)), "write [["+l.table+"]]")
			continue
		}
		l.d.path = itemPath(l.table, len(l.items))
		for _, key := range e.names {
			if !apply(l.d, l.fields, &t, key, e.members[key]) {
				l.unknown(e.members[key], key, "in [["+l.table+"]]", known)
			}
		}
		l.items = append(l.items, t)
		l.places = append(l.places, list.elems[i].place())
	}
}

func (l *listFile[T]) unknown(n *node, key, where string, known []string) {
	hint := "known here: " + strings.Join(known, ", ")
	if near := nearest(key, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	l.d.r.add(n.key, fmt.Sprintf("unknown key %q %s", key, where), hint)
}

// place is where a key of item i stands, else its table's header.
func (l *listFile[T]) place(i int, key string) span {
	if s, ok := l.d.at[itemPath(l.table, i)+key]; ok {
		return s
	}
	return l.places[i]
}

func (l *listFile[T]) given(i int, key string) bool {
	_, ok := l.d.at[itemPath(l.table, i)+key]
	return ok
}

func itemPath(table string, i int) string { return table + "[" + strconv.Itoa(i) + "]." }

// errors returns everything that is wrong with the file, or nil.
func (l *listFile[T]) errors() error {
	if errs := l.d.r.sorted(); len(errs) > 0 {
		return errs
	}
	return nil
}
