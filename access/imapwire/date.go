package imapwire

import (
	"strconv"
	"time"
)

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// AppendDateTime appends a date-time (RFC 9051 section 9) as INTERNALDATE has it, in the
// zone of t, with its quotes.
func AppendDateTime(dst []byte, t time.Time) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	_, offset := t.Zone()
	dst = append(dst, '"')
	if day < 10 {
		dst = append(dst, ' ')
	} else {
		dst = append(dst, byte('0'+day/10))
	}
	dst = append(dst, byte('0'+day%10), '-')
	dst = append(dst, monthName(month)...)
	dst = append(dst, '-')
	dst = appendYear(dst, year)
	dst = append(dst, ' ')
	dst = append(appendTwo(dst, hour), ':')
	dst = append(appendTwo(dst, minute), ':')
	dst = append(appendTwo(dst, second), ' ')
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	dst = append(dst, sign)
	dst = appendTwo(dst, offset/3600%100)
	return append(appendTwo(dst, offset/60%60), '"')
}

// AppendDate appends a date such as 1-Feb-1994.
func AppendDate(dst []byte, t time.Time) []byte {
	year, month, day := t.Date()
	dst = append(strconv.AppendInt(dst, int64(day), 10), '-')
	dst = append(dst, monthName(month)...)
	return appendYear(append(dst, '-'), year)
}

func monthName(m time.Month) string { return months[3*(m-1) : 3*m] }

func appendTwo(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

func appendYear(dst []byte, year int) []byte {
	year = min(max(year, 0), 9999)
	return appendTwo(appendTwo(dst, year/100), year%100)
}

// ParseDateTime reads a date-time without its quotes: " 1-Feb-1994 22:43:04 -0800".
func ParseDateTime(b []byte) (time.Time, bool) {
	if len(b) != len(" 1-Feb-1994 22:43:04 -0800") || b[11] != ' ' || b[14] != ':' || b[17] != ':' || b[20] != ' ' {
		return time.Time{}, false
	}
	date := b[:11]
	if date[0] == ' ' {
		date = date[1:]
	}
	year, month, day, ok := parseDate(date)
	hour, ok1 := digits(b[12:14])
	minute, ok2 := digits(b[15:17])
	second, ok3 := digits(b[18:20])
	zoneHour, ok4 := digits(b[22:24])
	zoneMinute, ok5 := digits(b[24:26])
	if !ok || !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || b[21] != '+' && b[21] != '-' {
		return time.Time{}, false
	}
	// A leap second is the last second of its minute.
	if hour > 23 || minute > 59 || second > 60 || zoneHour > 23 || zoneMinute > 59 {
		return time.Time{}, false
	}
	offset := zoneHour*3600 + zoneMinute*60
	if b[21] == '-' {
		offset = -offset
	}
	zone := time.UTC
	if offset != 0 {
		zone = time.FixedZone("", offset)
	}
	return time.Date(year, month, day, hour, minute, min(second, 59), 0, zone), true
}

// ParseDate reads a date such as 1-Feb-1994, without quotes; it is at midnight UTC.
func ParseDate(b []byte) (time.Time, bool) {
	year, month, day, ok := parseDate(b)
	if !ok {
		return time.Time{}, false
	}
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC), true
}

func parseDate(b []byte) (year int, month time.Month, day int, ok bool) {
	n := len(b) - len("-Feb-1994")
	if n != 1 && n != 2 || b[n] != '-' || b[n+4] != '-' {
		return 0, 0, 0, false
	}
	day, ok = digits(b[:n])
	if !ok {
		return 0, 0, 0, false
	}
	year, ok = digits(b[n+5:])
	for m := time.January; m <= time.December; m++ {
		if name := monthName(m); b[n+1]&^0x20 == name[0] && b[n+2]|0x20 == name[1] && b[n+3]|0x20 == name[2] {
			month = m
		}
	}
	if !ok || month == 0 || day == 0 || day > daysIn(year, month) {
		return 0, 0, 0, false
	}
	return year, month, day, true
}

func daysIn(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// digits reads b, which must be all digits.
func digits(b []byte) (int, bool) {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}
