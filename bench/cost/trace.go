package cost

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// event is the beginning or the end of a system call in a log of strace. A call
// that nothing came between has both in one line; otherwise the line of its
// beginning ends in "<unfinished ...>" and a later one may have the end.
//
// The order of events is evidence. strace lets a thread go on only after it has
// written the event down, so an end is written after the call has done its work,
// and a beginning before: when the end of one call stands before the beginning of
// another, then they happened in this order, in whatever threads.
type event struct {
	thread int
	call   string
	file   string // of the first argument, as -y shows it: "socket:[123]", "/a/path"
	args   string // at the beginning: those known then; at the end: the others
	begin  bool
	end    bool
	value  int64 // returned; -1 with an error
}

// readTrace gives the events of a log in their order to yield. Lines that are no
// system calls (signals, exits) are passed over, and so are those that cannot be
// understood: an interrupted strace may leave half a line.
func readTrace(r io.Reader, yield func(event)) error {
	type open struct{ call, file string }
	unfinished := make(map[int]open)
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := lines.ReadString('\n')
		if e, ok := parseLine(strings.TrimSuffix(line, "\n")); ok {
			switch {
			case e.begin && !e.end:
				unfinished[e.thread] = open{e.call, e.file}
			case e.end && !e.begin:
				begun, known := unfinished[e.thread]
				delete(unfinished, e.thread)
				if known && begun.call == e.call {
					e.file = begun.file
				}
			}
			yield(e)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("strace: %w", err)
		}
	}
}

// parseLine reads a line of strace -f -y -o.
func parseLine(line string) (event, bool) {
	number, rest, ok := strings.Cut(line, " ")
	thread, err := strconv.Atoi(number)
	if !ok || err != nil {
		return event{}, false
	}
	rest = strings.TrimLeft(rest, " ")
	e := event{thread: thread}
	if resumed, ok := strings.CutPrefix(rest, "<... "); ok {
		e.call, e.args, ok = strings.Cut(resumed, " resumed>")
		if ok {
			e.args, e.value, e.end = cutEnd(e.args)
		}
		return e, e.end && isWord(e.call)
	}
	if e.call, e.args, ok = strings.Cut(rest, "("); !ok {
		return event{}, false
	}
	e.begin, e.file = true, fileOf(e.args)
	e.args, e.value, e.end = cutEnd(e.args)
	return e, isWord(e.call)
}

// cutEnd cuts the value that a call returned from its line. There is none when
// others come between ("<unfinished ...>"), when strace let the process go
// ("<detached ...>"), when the call was interrupted or the process ended in it
// ("= ?"), and when the line is not whole.
func cutEnd(args string) (before string, value int64, ok bool) {
	if strings.HasSuffix(args, "...>") {
		return args, 0, false
	}
	// The text of an argument may have anything in it, also ") = 0"; it is the last
	// one that counts.
	at := strings.LastIndex(args, ") ")
	if at < 0 {
		return args, 0, false
	}
	returned, ok := strings.CutPrefix(strings.TrimLeft(args[at+1:], " "), "= ")
	if !ok {
		return args, 0, false
	}
	word, _, _ := strings.Cut(returned, " ")
	value, err := strconv.ParseInt(word, 0, 64)
	if err != nil {
		return args, 0, false
	}
	return args[:at], value, true
}

// isWord reports whether s can be the name of a call.
func isWord(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// fileOf returns what -y says of a descriptor that is the first argument.
func fileOf(args string) string {
	digits := strings.TrimLeft(args, "0123456789")
	if len(digits) == len(args) || !strings.HasPrefix(digits, "<") {
		return ""
	}
	name, _, ok := strings.Cut(digits[1:], ">")
	if !ok {
		return ""
	}
	return name
}

// appendText appends what stands in quotes in args, one after the other: the data
// of a call, be it one buffer or several.
func appendText(dst []byte, args string) []byte {
	quoted := false
	for i := 0; i < len(args); i++ {
		c := args[i]
		switch {
		case c == '"':
			quoted = !quoted
		case !quoted:
		case c != '\\' || i+1 == len(args):
			dst = append(dst, c)
		default:
			i++
			n := 0
			for n < 3 && i+n < len(args) && args[i+n] >= '0' && args[i+n] <= '7' {
				n++
			}
			if n > 0 {
				v, _ := strconv.ParseUint(args[i:i+n], 8, 16) // octal digits only
				dst = append(dst, byte(v))
				i += n - 1
				continue
			}
			dst = append(dst, unquoted(args[i]))
		}
	}
	return dst
}

// unquoted is the byte of an escape of one letter.
func unquoted(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'v':
		return '\v'
	case 'f':
		return '\f'
	}
	return c
}
