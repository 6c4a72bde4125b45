package pop3

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

// What a stranger sends is a command of ours or none, and a number is what it says.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"RETR 1", "top 1 99999999999999999999", "LIST", "GET / HTTP/1.1", "PASS  a b ", "\x00", "", " ", "USER \xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		v, arg := parse([]byte(line))
		word, rest, found := strings.Cut(line, " ")
		if v != verbUnknown && v != verbHTTP && !strings.EqualFold(word, v.String()) {
			t.Fatalf("%q is %v", line, v)
		}
		if found != (arg != nil) || string(arg) != rest {
			t.Fatalf("%q has the argument %q", line, arg)
		}
		arg = trimRight(arg)
		n, more, ok := number(arg)
		digits, after, _ := strings.Cut(string(arg), " ")
		if want, err := strconv.ParseUint(digits, 10, 64); ok != (strings.Trim(digits, "0123456789") == "" && digits != "") {
			t.Fatalf("%q is a number: %v", arg, ok)
		} else if ok && (string(more) != after || err == nil && want <= math.MaxInt64 && n != int64(want) || n < 0 ||
			(err != nil || want > math.MaxInt64) && n != math.MaxInt64) {
			t.Fatalf("%q is %d and %q", arg, n, more)
		}
	})
}

func TestMarks(t *testing.T) {
	var m Marks
	for _, i := range []int{130, 0, 63, 64, 130} {
		m.set(i, 131)
	}
	var all []int
	for i := range m.All() {
		all = append(all, i)
	}
	if len(all) != 4 || m.Count() != 4 || all[0] != 0 || all[1] != 63 || all[2] != 64 || all[3] != 130 {
		t.Errorf("%v, %d", all, m.Count())
	}
	if m.Has(1) || !m.Has(64) || m.Has(1000) || Marks(nil).Has(0) {
		t.Error("Has is wrong")
	}
}
