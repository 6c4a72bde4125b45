package search

import "bytes"

// baseSubject returns the base subject of a decoded one (RFC 5256 section 2.1), and
// whether it is that of a reply or a forward. It is a piece of s, which is changed: its
// spaces are made single.
func baseSubject(s []byte) (base []byte, reply bool) {
	s = oneSpace(s)
	for {
		s, reply = withoutTrailers(s, reply)
		s, reply = withoutLeaders(s, reply)
		inner, ok := wrapped(s, "[fwd:")
		if !ok {
			return s, reply
		}
		s, reply = inner, true
	}
}

// oneSpace makes one space of each run of spaces, in place.
func oneSpace(s []byte) []byte {
	out := s[:0]
	for _, c := range s {
		if c <= ' ' {
			if c = ' '; len(out) > 0 && out[len(out)-1] == ' ' {
				continue
			}
		}
		out = append(out, c)
	}
	return out
}

// withoutTrailers removes "(fwd)" and spaces from the end (step 2).
func withoutTrailers(s []byte, reply bool) ([]byte, bool) {
	for {
		s = bytes.TrimRight(s, " ")
		n := len(s) - len("(fwd)")
		if n < 0 || !sameFold(s[n:], "(fwd)") {
			return s, reply
		}
		s, reply = s[:n], true
	}
}

// withoutLeaders removes what stands before a subject: "Re:" and its like, and blobs
// in brackets as long as they are not all that there is (steps 3 to 5).
func withoutLeaders(s []byte, reply bool) ([]byte, bool) {
	for {
		s = bytes.TrimLeft(s, " ")
		if n := leaderLen(s); n > 0 {
			s, reply = s[n:], true
			continue
		}
		n := blobLen(s)
		if n == 0 || n == len(s) {
			return s, reply
		}
		s = s[n:]
	}
}

// leaderLen returns the length of the subj-leader that s begins with: blobs, then
// re, fw or fwd, a blob perhaps, and a colon.
func leaderLen(s []byte) int {
	at := 0
	for {
		n := blobLen(s[at:])
		if n == 0 {
			break
		}
		at += n
	}
	switch rest := s[at:]; {
	case len(rest) >= 3 && sameFold(rest[:3], "fwd"):
		at += 3
	case len(rest) >= 2 && (sameFold(rest[:2], "re") || sameFold(rest[:2], "fw")):
		at += 2
	default:
		return 0
	}
	at += len(s[at:]) - len(bytes.TrimLeft(s[at:], " "))
	at += blobLen(s[at:])
	if at == len(s) || s[at] != ':' {
		return 0
	}
	return at + 1
}

// blobLen returns the length of the subj-blob that s begins with: brackets without
// brackets in them, and spaces.
func blobLen(s []byte) int {
	if len(s) == 0 || s[0] != '[' {
		return 0
	}
	n := bytes.IndexAny(s[1:], "[]")
	if n < 0 || s[1+n] != ']' {
		return 0
	}
	for n += 2; n < len(s) && s[n] == ' '; n++ {
	}
	return n
}

// wrapped returns what is between before and "]" (step 6).
func wrapped(s []byte, before string) ([]byte, bool) {
	if len(s) <= len(before) || s[len(s)-1] != ']' || !sameFold(s[:len(before)], before) {
		return nil, false
	}
	return s[len(before) : len(s)-1], true
}
