package inflate

// The alphabets of RFC 1951 section 3.2.5.
const (
	endOfBlock   = 256
	numLiterals  = 286
	numDistances = 30
	maxCode      = 15 // bits of the longest code
)

var (
	lengthBase = [...]uint16{
		3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
	}
	lengthExtra = [...]uint8{
		0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
	}
	distanceBase = [...]uint16{
		1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
		8193, 12289, 16385, 24577,
	}
	distanceExtra = [...]uint8{
		0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
	}
	// lengthOrder is that in which the lengths of the code for lengths are sent.
	lengthOrder = [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

// fastBits is how much of a code is looked up at once.
const fastBits = 9

// huffman is a canonical code.
type huffman struct {
	fast   [1 << fastBits]uint16 // symbol<<4 | length of the code; 0: it is longer, or none
	count  [maxCode + 1]uint16   // codes of each length
	symbol [288]uint16           // in the order of their codes
}

// tables are what the decoding of a block needs.
type tables struct {
	literals, distances huffman
	lens                [numLiterals + numDistances + 4]uint8
	nLiterals           int
	nDistances          int
	nCodes              int
	at                  int // lengths read
}

// build makes the code of its symbols' lengths. A code must use all that its lengths
// leave room for, but one of a single symbol, or of none, where that is allowed.
func (h *huffman) build(lens []uint8, mayBeSparse bool) bool {
	h.count, h.fast = [maxCode + 1]uint16{}, [1 << fastBits]uint16{}
	for _, n := range lens {
		h.count[n]++
	}
	h.count[0] = 0
	left, used := 1, 0
	var offset, code [maxCode + 2]uint16
	for n := 1; n <= maxCode; n++ {
		left = left<<1 - int(h.count[n])
		if left < 0 {
			return false
		}
		used += int(h.count[n])
		offset[n+1] = offset[n] + h.count[n]
		code[n+1] = (code[n] + h.count[n]) << 1
	}
	if left > 0 && (!mayBeSparse || used > 1 || used == 1 && h.count[1] != 1) {
		return false
	}
	for symbol, n := range lens {
		if n == 0 {
			continue
		}
		h.symbol[offset[n]] = uint16(symbol)
		offset[n]++
		if n <= fastBits {
			first := reverse(code[n], n)
			for i := int(first); i < 1<<fastBits; i += 1 << n {
				h.fast[i] = uint16(symbol)<<4 | uint16(n)
			}
		}
		code[n]++
	}
	return true
}

// reverse turns the bits of a code around: codes are sent from their highest bit.
func reverse(code uint16, n uint8) uint16 {
	var r uint16
	for range n {
		r = r<<1 | code&1
		code >>= 1
	}
	return r
}

// decode returns the symbol whose code begins hold, and the code's length; 0: none.
func (h *huffman) decode(hold uint64) (symbol, length uint) {
	if e := h.fast[hold&(1<<fastBits-1)]; e != 0 {
		return uint(e >> 4), uint(e & 15)
	}
	code, first, index := 0, 0, 0
	for n := 1; n <= maxCode; n++ {
		code |= int(hold & 1)
		hold >>= 1
		count := int(h.count[n])
		if code-count < first {
			return uint(h.symbol[index+code-first]), uint(n)
		}
		index += count
		first = (first + count) << 1
		code <<= 1
	}
	return 0, 0
}

// fixed makes the tables of a block with the fixed codes (RFC 1951 section 3.2.6).
func (t *tables) fixed() {
	var lens [288]uint8
	for i := range lens {
		switch {
		case i < 144:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		case i < 280:
			lens[i] = 7
		default:
			lens[i] = 8
		}
	}
	t.literals.build(lens[:], false)
	for i := range lens[:32] {
		lens[i] = 5
	}
	t.distances.build(lens[:32], false)
}

// counts reads how many lengths a dynamic block sends.
func (d *Decoder) counts() (more bool, err error) {
	if d.bits < 14 {
		return false, nil
	}
	t := d.t
	t.nLiterals, t.nDistances, t.nCodes = int(d.take(5))+257, int(d.take(5))+1, int(d.take(4))+4
	if t.nLiterals > numLiterals || t.nDistances > numDistances {
		return false, ErrCorrupt
	}
	t.at = 0
	clear(t.lens[:])
	d.phase = inCodes
	return true, nil
}

// codes reads the lengths of the code for lengths.
func (d *Decoder) codes() (more bool, err error) {
	t := d.t
	for ; t.at < t.nCodes; t.at++ {
		if d.bits < 3 {
			return false, nil
		}
		t.lens[lengthOrder[t.at]] = uint8(d.take(3))
	}
	if !t.literals.build(t.lens[:len(lengthOrder)], false) {
		return false, ErrCorrupt
	}
	clear(t.lens[:])
	t.at = 0
	d.phase = inLengths
	return true, nil
}

// lengths reads the lengths of the literals' code and of the distances'.
func (d *Decoder) lengths() (more bool, err error) {
	t := d.t
	total := t.nLiterals + t.nDistances
	for t.at < total {
		symbol, n := t.literals.decode(d.hold)
		if n == 0 && d.bits >= maxCode {
			return false, ErrCorrupt
		}
		var extra uint
		switch {
		case symbol == 16:
			extra = 2
		case symbol == 17:
			extra = 3
		case symbol == 18:
			extra = 7
		}
		if n == 0 || n+extra > d.bits {
			return false, nil
		}
		d.take(n)
		if !t.add(symbol, d.take(extra), total) {
			return false, ErrCorrupt
		}
	}
	if t.lens[endOfBlock] == 0 {
		return false, ErrCorrupt
	}
	// The code for lengths is no longer needed: its place is the literals'.
	if !t.literals.build(t.lens[:t.nLiterals], true) || !t.distances.build(t.lens[t.nLiterals:total], true) {
		return false, ErrCorrupt
	}
	d.phase = inBlock
	return true, nil
}

// add adds a length, or what a symbol says to repeat (RFC 1951 section 3.2.7).
func (t *tables) add(symbol, extra uint, total int) bool {
	if symbol < 16 {
		t.lens[t.at] = uint8(symbol)
		t.at++
		return true
	}
	var length uint8
	times := int(extra) + 3
	switch {
	case symbol == 16:
		if t.at == 0 {
			return false
		}
		length = t.lens[t.at-1]
	case symbol == 18:
		times += 8
	}
	if times > total-t.at {
		return false
	}
	for range times {
		t.lens[t.at] = length
		t.at++
	}
	return true
}
