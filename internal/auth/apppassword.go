package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"strings"
)

// App passwords are 128 random bits in base32, 26 letters and digits, shown in
// groups: "abcd-efgh-...". Nobody can try out so many, so that a fast digest
// guards them as well as a slow one; it is keyed, so that the users file alone does
// not even confirm one.
const appLetters = 26

// NewAppPassword makes one, and its digest under the installation's secret.
func NewAppPassword(secret []byte) (plain string, digest [32]byte, err error) {
	var raw [16]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return "", digest, fmt.Errorf("auth: %w", err)
	}
	bare := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw[:]))
	var b strings.Builder
	for i := 0; i < len(bare); i += 4 {
		if i > 0 {
			b.WriteByte('-')
		}
		b.WriteString(bare[i:min(i+4, len(bare))])
	}
	return b.String(), AppDigest(secret, []byte(bare)), nil
}

// AppDigest is what is kept of an app password in its bare form.
func AppDigest(secret, bare []byte) (digest [32]byte) {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("postrider app password 1\x00"))
	mac.Write(bare)
	mac.Sum(digest[:0])
	return digest
}

// BareAppPassword takes off what people put between the groups, and the case. nil:
// this has not the shape of an app password.
func BareAppPassword(plain []byte) []byte {
	if len(plain) < appLetters || len(plain) > 2*appLetters {
		return nil
	}
	bare := make([]byte, 0, appLetters)
	for _, c := range plain {
		switch {
		case c == '-' || c == ' ':
			continue
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '2' && c <= '7':
		default:
			return nil
		}
		bare = append(bare, c)
	}
	if len(bare) != appLetters {
		return nil
	}
	return bare
}

// appPassword returns the one of e's that plain is, nil if it is none.
func (a *Authenticator) appPassword(e *Entry, plain []byte) (found *AppPassword) {
	bare := BareAppPassword(plain)
	if bare == nil {
		return nil
	}
	digest := AppDigest(a.secret(), bare) // also for who has none, or is none
	if e == nil {
		return nil
	}
	for i := range e.AppPasswords {
		if subtle.ConstantTimeCompare(digest[:], e.AppPasswords[i].Digest[:]) == 1 {
			found = &e.AppPasswords[i]
		}
	}
	return found
}
