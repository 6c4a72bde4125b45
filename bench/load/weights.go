package load

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxWeighted bounds the lines of a file of weights.
const maxWeighted = 1 << 20

// eachWeighted reads lines "NAME WEIGHT"; # begins a comment.
func eachWeighted(r io.Reader, add func(name string, weight float64) error) error {
	in := bufio.NewScanner(r)
	n := 0
	for line := 1; in.Scan(); line++ {
		text, _, _ := strings.Cut(in.Text(), "#")
		f := strings.Fields(text)
		if len(f) == 0 {
			continue
		}
		if n++; n > maxWeighted {
			return fmt.Errorf("line %d: more than %d lines", line, maxWeighted)
		}
		if len(f) != 2 {
			return fmt.Errorf("line %d: not two words", line)
		}
		w, err := parseFloat(f[1], 0, 1e12)
		if err == nil {
			err = add(f[0], w)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
	if err := in.Err(); err != nil {
		return err
	}
	if n == 0 {
		return errors.New("no line with a weight")
	}
	return nil
}
