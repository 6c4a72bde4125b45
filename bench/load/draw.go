package load

import (
	"math"
	"math/bits"
)

// Each message's size, recipients and domains follow from the seed and its place
// in the order alone, so that a run can be made again whatever connection sent
// which message. These are the salts of the draws.
const (
	drawSize = iota + 1
	drawRecipients
	drawUser
	drawThink
	drawDomain // and above: one for each recipient
)

// draw returns 64 bits that look random (the finish of SplitMix64).
func draw(seed, order, salt uint64) uint64 {
	x := seed + order*0x9e3779b97f4a7c15 + salt*0xd1342543de82ef95
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below maps a draw to 0 up to n-1.
func below(u uint64, n int) int {
	hi, _ := bits.Mul64(u, uint64(n))
	return int(hi)
}

// unit maps a draw to the open interval from 0 to 1.
func unit(u uint64) float64 { return (float64(u>>11) + 0.5) / (1 << 53) }

// alias draws from weights in constant time (Walker's alias method).
type alias struct {
	keep  []uint32 // of 1<<32: how much of this slot is its own
	other []int32  // whose the rest is
}

// newAlias takes weights above zero.
func newAlias(weights []float64) *alias {
	n, sum := len(weights), 0.0
	for _, w := range weights {
		sum += w
	}
	a := &alias{keep: make([]uint32, n), other: make([]int32, n)}
	scaled := make([]float64, n)
	var small, large []int32
	for i, w := range weights {
		scaled[i] = w / sum * float64(n)
		a.other[i] = int32(i)
		a.keep[i] = math.MaxUint32
		if scaled[i] < 1 {
			small = append(small, int32(i))
		} else {
			large = append(large, int32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.keep[s] = uint32(scaled[s] * (1 << 32))
		a.other[s] = l
		scaled[l] -= 1 - scaled[s]
		if scaled[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	return a // what is left over has, but for rounding, all of its slot
}

func (a *alias) pick(u uint64) int {
	i, rest := bits.Mul64(u, uint64(len(a.keep)))
	if uint32(rest>>32) <= a.keep[i] {
		return int(i)
	}
	return int(a.other[i])
}

// zipfWeights are 1/1^s, 1/2^s up to n.
func zipfWeights(n int, s float64) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = math.Pow(float64(i+1), -s)
	}
	return w
}
