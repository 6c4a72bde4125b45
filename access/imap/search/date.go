package search

import "time"

// date is what a Date field says.
type date struct {
	seconds int64 // since 1970, UTC
	day     int64 // since 1970, in the zone that it was written in
}

// parseDate reads the value of a Date field (RFC 5322 section 3.3), in the forms that
// are seen: the name of the day, the seconds and the zone may be missing, and
// comments stand anywhere. A date without a valid time or zone is at midnight UTC (RFC
// 5256 section 2.2).
func parseDate(value []byte) (d date, ok bool) {
	s := dateScanner{rest: value}
	word, number := s.next()
	if len(word) > 0 && number < 0 { // a name of a day
		_, number = s.next()
	}
	day := number
	word, _ = s.next()
	month := monthNumber(word)
	_, year := s.next()
	switch { // RFC 5322 section 4.3
	case year >= 0 && year < 50:
		year += 2000
	case year >= 50 && year < 1000:
		year += 1900
	}
	if day < 1 || day > 31 || month == 0 || year < 1000 || year > 9999 {
		return d, false
	}
	midnight := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Unix()
	d.day = midnight / daySeconds
	if midnight < 0 {
		d.day = (midnight - daySeconds + 1) / daySeconds
	}
	d.seconds = midnight + s.clock()
	return d, true
}

// dateScanner takes a date apart into runs of letters and of digits.
type dateScanner struct{ rest []byte }

// next returns the next word, and its value: -1 when it is no number.
func (s *dateScanner) next() (word []byte, number int) {
	p := s.rest
	for len(p) > 0 && !letter(p[0]) && !digit(p[0]) {
		if p[0] != '(' {
			p = p[1:]
			continue
		}
		for len(p) > 0 && p[0] != ')' {
			p = p[1:]
		}
	}
	n := 0
	if len(p) > 0 && letter(p[0]) {
		for n < len(p) && letter(p[n]) {
			n++
		}
		s.rest = p[n:]
		return p[:n], -1
	}
	for n < len(p) && digit(p[n]) && n < 9 {
		number = number*10 + int(p[n]-'0')
		n++
	}
	s.rest = p[n:]
	if n == 0 {
		number = -1
	}
	return p[:n], number
}

// clock reads the time and the zone that follow: seconds since midnight UTC, or 0.
func (s *dateScanner) clock() int64 {
	_, hour := s.next()
	if hour < 0 || hour > 23 || len(s.rest) == 0 || s.rest[0] != ':' {
		return 0
	}
	_, minute := s.next()
	second := 0
	if len(s.rest) > 0 && s.rest[0] == ':' {
		_, second = s.next()
	}
	if minute < 0 || minute > 59 || second < 0 || second > 60 {
		return 0
	}
	return int64(hour*3600+minute*60+second) - s.zone()
}

// zone reads a zone: seconds east of UTC. Military zones and names that nobody knows
// are UTC (RFC 5322 section 4.3).
func (s *dateScanner) zone() int64 {
	p := s.rest
	for len(p) > 0 && (p[0] <= ' ' || p[0] == '(') {
		if p[0] == '(' {
			return 0
		}
		p = p[1:]
	}
	if len(p) >= 5 && (p[0] == '+' || p[0] == '-') {
		v := 0
		for _, c := range p[1:5] {
			if !digit(c) {
				return 0
			}
			v = v*10 + int(c-'0')
		}
		seconds := int64(v/100*3600 + v%100*60)
		if p[0] == '-' {
			seconds = -seconds
		}
		return seconds
	}
	if len(p) < 3 || !letter(p[0]) {
		return 0
	}
	hours := int64(0)
	switch { // the eight names of RFC 5322
	case !letterIs(p[2], 'T'):
		return 0
	case letterIs(p[0], 'E'):
		hours = -5
	case letterIs(p[0], 'C'):
		hours = -6
	case letterIs(p[0], 'M'):
		hours = -7
	case letterIs(p[0], 'P'):
		hours = -8
	default:
		return 0
	}
	if letterIs(p[1], 'D') {
		hours++
	} else if !letterIs(p[1], 'S') {
		return 0
	}
	return hours * 3600
}

// monthNumber returns 1 for a word that begins with Jan, and so on; 0 for none.
func monthNumber(word []byte) int {
	const names = "janfebmaraprmayjunjulaugsepoctnovdec"
	if len(word) < 3 {
		return 0
	}
	for i := 0; i < 12; i++ {
		if name := names[3*i:]; word[0]|0x20 == name[0] && word[1]|0x20 == name[1] && word[2]|0x20 == name[2] {
			return i + 1
		}
	}
	return 0
}

func letter(c byte) bool { return (c|0x20)-'a' < 26 }

func digit(c byte) bool { return c-'0' < 10 }

// letterIs compares with a capital.
func letterIs(c, capital byte) bool { return c&^0x20 == capital }
