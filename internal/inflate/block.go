package inflate

// block decodes symbols.
func (d *Decoder) block(dst, src []byte, n int) ([]byte, int, bool, error) {
	for n < len(dst) {
		src = d.load(src)
		// Bits that have not come are 0 here: a code that is longer than what there is
		// cannot be told yet.
		symbol, length := d.t.literals.decode(d.hold)
		if length == 0 || length > d.bits {
			if length == 0 && d.bits >= maxCode {
				return src, n, false, ErrCorrupt
			}
			return src, n, false, nil
		}
		if symbol < endOfBlock {
			d.take(length)
			dst[n] = byte(symbol)
			d.push(byte(symbol))
			n++
			continue
		}
		if symbol == endOfBlock {
			d.take(length)
			d.next()
			return src, n, true, nil
		}
		enough, err := d.pair(symbol, length)
		if err != nil || !enough {
			return src, n, false, err
		}
		d.phase = inMatch
		return src, n, true, nil
	}
	return src, n, false, nil
}

// pair reads a match whose length symbol has been seen but not taken. All of it is
// taken, or nothing.
func (d *Decoder) pair(symbol, codeBits uint) (enough bool, err error) {
	if symbol-endOfBlock > uint(len(lengthBase)) {
		return false, ErrCorrupt
	}
	i := symbol - endOfBlock - 1
	extra := uint(lengthExtra[i])
	bits := codeBits + extra
	if bits > d.bits {
		return false, nil
	}
	length := int(lengthBase[i]) + int(d.hold>>codeBits&(1<<extra-1))
	code, n := d.t.distances.decode(d.hold >> bits)
	if n == 0 || bits+n > d.bits {
		if n == 0 && d.bits >= bits+maxCode {
			return false, ErrCorrupt
		}
		return false, nil
	}
	if code >= uint(len(distanceBase)) {
		return false, ErrCorrupt
	}
	bits += n
	extra = uint(distanceExtra[code])
	if bits+extra > d.bits {
		return false, nil
	}
	distance := int(distanceBase[code]) + int(d.hold>>bits&(1<<extra-1))
	d.take(bits + extra)
	if distance > min(d.total, maxWindow) {
		return false, ErrCorrupt
	}
	d.length, d.distance = length, distance
	return true, nil
}

// match copies what is left of a match.
func (d *Decoder) match(dst []byte, n int) (int, bool) {
	for d.length > 0 && n < len(dst) {
		// The place is looked for anew each time: the window may grow.
		c := d.window[(d.total-d.distance)&(len(d.window)-1)]
		dst[n] = c
		d.push(c)
		n++
		d.length--
	}
	if d.length > 0 {
		return n, false
	}
	d.phase = inBlock
	return n, true
}
