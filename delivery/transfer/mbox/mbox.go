// Package mbox reads and writes mbox files: many messages in one, each behind a
// line "From SENDER DATE".
//
// # Guarantees
//
// What a Writer writes a Reader gives back byte for byte, lines that begin with
// "From " included, apart from the fields Status, X-Status and X-Keywords: they are
// where an mbox keeps flags, and are no part of the message. A Reader never gives up
// on a file: what stands before the first such line is left out.
//
// # Format
//
// mboxrd: in the text of a message a ">" is put before every line that is "From "
// behind any number of ">". The same is taken off when it is read, which is
// right for a plain mbox file as well, where at most one ">" was put. Lines end
// with LF, or with CRLF throughout. An empty line follows each message.
//
// # Concurrency
//
// Nothing here locks.
package mbox

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"postrider/delivery/mailbox"
)

// isFrom reports whether line is "From " behind any number of ">".
func isFrom(line []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From "))
}

// separates reports whether line begins a message: it has the form of
// "From SENDER Sat Jan  3 01:05:34 1996", a zone behind it or not.
func separates(line []byte) bool {
	if !bytes.HasPrefix(line, []byte("From ")) {
		return false
	}
	_, ok := fromTime(line)
	return ok
}

// fromTime reads the date of a "From " line.
func fromTime(line []byte) (time.Time, bool) {
	fields := strings.Fields(string(line))
	for i := 1; i+4 < len(fields); i++ { // the sender may have spaces in it
		text := strings.Join(fields[i:i+5], " ")
		for _, layout := range [...]string{"Mon Jan 2 15:04:05 2006", "Mon Jan 2 15:04:05 MST", "Mon Jan 2 15:04:05 -0700"} {
			at, err := time.Parse(layout, text)
			if err != nil {
				continue
			}
			if at.Year() == 0 { // the zone stands before the year
				if i+5 == len(fields) {
					continue
				}
				year, err := time.Parse("2006", fields[i+5])
				if err != nil {
					continue
				}
				at = at.AddDate(year.Year(), 0, 0)
			}
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

// statusField reports a header line that belongs to the mbox and not to the message.
func statusField(line []byte) bool {
	name, _, ok := bytes.Cut(line, []byte{':'})
	return ok && (bytes.EqualFold(name, []byte("Status")) || bytes.EqualFold(name, []byte("X-Status")) || bytes.EqualFold(name, []byte("X-Keywords")))
}

// readStatus adds the flags that a line of a status field tells.
func readStatus(line []byte, flags *mailbox.Flags, keywords *[]string) {
	name, value, _ := strings.Cut(string(line), ":")
	if strings.EqualFold(name, "X-Keywords") {
		for word := range strings.FieldsSeq(value) {
			if !slices.Contains(*keywords, word) {
				*keywords = append(*keywords, word)
			}
		}
		return
	}
	for _, c := range value {
		switch c {
		case 'R':
			*flags |= mailbox.FlagSeen
		case 'A':
			*flags |= mailbox.FlagAnswered
		case 'F':
			*flags |= mailbox.FlagFlagged
		case 'T':
			*flags |= mailbox.FlagDraft
		case 'D':
			*flags |= mailbox.FlagDeleted
		}
	}
}

// appendStatus appends the status fields that flags and keywords need.
func appendStatus(dst []byte, flags mailbox.Flags, keywords []string, eol string) []byte {
	status := "O"
	if flags&mailbox.FlagSeen != 0 {
		status = "RO"
	}
	dst = append(append(append(dst, "Status: "...), status...), eol...)
	more := ""
	for _, f := range [...]struct {
		flag   mailbox.Flags
		letter string
	}{{mailbox.FlagAnswered, "A"}, {mailbox.FlagFlagged, "F"}, {mailbox.FlagDraft, "T"}, {mailbox.FlagDeleted, "D"}} {
		if flags&f.flag != 0 {
			more += f.letter
		}
	}
	if more != "" {
		dst = append(append(append(dst, "X-Status: "...), more...), eol...)
	}
	if len(keywords) > 0 {
		dst = append(append(append(dst, "X-Keywords: "...), strings.Join(keywords, " ")...), eol...)
	}
	return dst
}
