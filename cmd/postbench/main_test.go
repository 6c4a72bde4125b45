package main

import "testing"

// Usage errors exit 2, failures 1.
func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		args []string
		want int
	}{
		{nil, 2},
		{[]string{"nonsense"}, 2},
		{[]string{"load"}, 2},
		{[]string{"load", "--nonsense"}, 2},
		{[]string{"load", "--to", "127.0.0.1:1", "extra"}, 2},
		{[]string{"load", "--to", "127.0.0.1:1", "--size", "4q"}, 2},
		{[]string{"load", "--to", "127.0.0.1:1", "--messages", "1", "--conns", "1"}, 1},
		{[]string{"sink", "--defer", "often"}, 2},
		{[]string{"sink", "--listen", "nowhere"}, 1},
		{[]string{"sink", "--script", "/nonexistent"}, 1},
		{[]string{"--help"}, 0},
	} {
		if got := run(c.args); got != c.want {
			t.Errorf("%v: exit %d, not %d", c.args, got, c.want)
		}
	}
}
