package load

import (
	"strconv"
	"strings"
)

// maxRecipients is how many recipients a message may have.
const maxRecipients = 1000

// Recipients say how many recipients a message has, 1 to 1000. The zero value is
// one.
type Recipients struct {
	n    int
	s    float64 // exponent; 0: always n
	pick *alias
}

// FixedRecipients returns n for every message.
func FixedRecipients(n int) Recipients { return Recipients{n: n} }

// ParseRecipients reads a number of recipients for each message: "5", or
// "zipf:n=500,s=1.1", 1 to 500 by Zipf's law: k recipients as often as 1/k^s.
func ParseRecipients(text string) (Recipients, error) {
	var r Recipients
	var err error
	if rest, ok := strings.CutPrefix(text, "zipf:"); ok {
		p := newSpec(rest)
		r.n = value(p, "n", -1, func(v string) (int, error) { return parseCount(v, maxRecipients) })
		r.s = value(p, "s", 1, parseExponent)
		if err = p.done(); err == nil {
			r.pick = newAlias(zipfWeights(r.n, r.s))
		}
	} else {
		r.n, err = parseCount(text, maxRecipients)
	}
	if err != nil {
		return Recipients{}, modelErr("recipients", text, err)
	}
	return r, nil
}

func parseExponent(text string) (float64, error) { return parseFloat(text, 0, 20) }

// String returns r as ParseRecipients reads it.
func (r Recipients) String() string {
	if r.pick != nil {
		return "zipf:n=" + strconv.Itoa(r.n) + ",s=" + formatFloat(r.s)
	}
	return strconv.Itoa(max(1, r.n))
}

// Max returns the largest number that r gives.
func (r Recipients) Max() int { return max(1, r.n) }

func (r *Recipients) draw(u uint64) int {
	if r.pick != nil {
		return r.pick.pick(u) + 1
	}
	return max(1, r.n)
}
