// Package password keeps the forms in which passwords rest: it makes our own and
// checks a password against every form that another mail server is likely to have
// left behind.
//
// What is made here is argon2id in the PHC string format, with the parameters that
// OWASP gives as its first choice for little memory (19 MiB, two passes, one lane),
// and SCRAM-SHA-256 keys beside it. What is read: PHC strings and crypt(3) forms
// (argon2, bcrypt, scrypt, yescrypt, PBKDF2, SHA-crypt, SHA1-crypt, MD5-crypt), the
// LDAP schemes {SSHA}, {SSHA256}, {SSHA512}, {SHA}, {SHA256}, {SHA512}, {SMD5}, and
// the names that Dovecot puts in braces before any of these. {PLAIN} is read too,
// and Check tells of it, so that whoever imports can refuse it.
//
// Parameters that a stored form names are bounded, since a hash that needs hours or
// more memory than the machine has would be as good as a lost password, and a way
// to stop the server.
//
// # Concurrency
//
// All functions are safe for concurrent use. A check takes the memory that the
// stored form asks for (19 MiB for our own); who calls it bounds how many run at
// once.
package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Parameters of the hashes that are made here.
const (
	memoryKiB = 19 * 1024
	passes    = 2
	lanes     = 1
	saltBytes = 16
	keyBytes  = 32
)

// MaxBytes is the longest password that is taken. Longer ones are refused before
// anything is computed: some forms take time in proportion.
const MaxBytes = 1024

// Errors of stored forms. They never hold any part of the form.
var (
	ErrForm = errors.New("not a form of a stored password that is known here")
	ErrCost = errors.New("the stored password asks for more work or memory than is allowed")
	ErrLong = errors.New("password is empty or longer than 1024 octets")
)

// Hash makes the stored form of a password: argon2id with a random salt.
func Hash(plain []byte) (string, error) {
	if len(plain) == 0 || len(plain) > MaxBytes {
		return "", ErrLong
	}
	var salt [saltBytes]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	return form(salt[:], argon2.IDKey(plain, salt[:], passes, memoryKiB, lanes, keyBytes)), nil
}

func form(salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memoryKiB, passes, lanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// Dummy is a stored form that costs what ours cost and fits no password: its key
// is all zero, which no input is known to give.
func Dummy() string { return form(make([]byte, saltBytes), make([]byte, keyBytes)) }

// Check reports whether stored is a form that Match can deal with, within the
// bounds.
func Check(stored string) error {
	_, err := parse(stored)
	return err
}

// IsPlain reports whether stored holds a password that anyone can read.
func IsPlain(stored string) bool {
	f, err := parse(stored)
	return err == nil && f.plain
}

// IsFast reports whether Match of stored takes microseconds, so that it needs no
// place among the slow ones. Errors are fast.
func IsFast(stored string) bool {
	f, err := parse(stored)
	return err != nil || f.fast
}

// Match reports whether plain is the password of stored. An error says that the
// stored form is of no use, not that the password is wrong.
func Match(stored string, plain []byte) (bool, error) {
	if len(plain) > MaxBytes {
		return false, nil
	}
	f, err := parse(stored)
	if err != nil {
		return false, err
	}
	return f.match(plain)
}

// parsed is a stored form that was understood.
type parsed struct {
	match func(plain []byte) (bool, error)
	plain bool
	fast  bool
}

func parse(stored string) (parsed, error) {
	if rest, ok := strings.CutPrefix(stored, "$argon2id$"); ok && strings.HasPrefix(rest, "v=19$") {
		return parseArgon2id(rest)
	}
	if strings.HasPrefix(stored, "{") {
		return parseScheme(stored)
	}
	return parseCrypt(stored)
}

// parseArgon2id reads the PHC string "v=19$m=..,t=..,p=..$salt$key". It is our own
// form, so it is read here and not through a general decoder.
func parseArgon2id(rest string) (parsed, error) {
	cost, rest, ok := strings.Cut(strings.TrimPrefix(rest, "v=19$"), "$")
	m, t, p, known := argonCost(cost)
	salt64, key64, two := strings.Cut(rest, "$")
	if !ok || !known || !two || len(salt64) > 86 || len(key64) > 86 {
		return parsed{}, ErrForm
	}
	buf := make([]byte, 0, 128) // both in one
	buf, err1 := base64.RawStdEncoding.AppendDecode(buf, []byte(salt64))
	salt := buf
	buf, err2 := base64.RawStdEncoding.AppendDecode(buf, []byte(key64))
	key := buf[len(salt):]
	if err1 != nil || err2 != nil || len(salt) < 8 || len(key) < 16 {
		return parsed{}, ErrForm
	}
	if !argonBearable(m, t, p) {
		return parsed{}, ErrCost
	}
	return parsed{match: func(plain []byte) (bool, error) {
		got := argon2.IDKey(plain, salt, t, m, uint8(p), uint32(len(key)))
		return subtle.ConstantTimeCompare(got, key) == 1, nil
	}}, nil
}

// argonCost reads "m=19456,t=2,p=1".
func argonCost(s string) (m, t, p uint32, ok bool) {
	value := [3]uint32{}
	for i, name := range [...]string{"m=", "t=", "p="} {
		var field string
		var more bool
		field, s, more = strings.Cut(s, ",")
		digits, found := strings.CutPrefix(field, name)
		n, err := strconv.ParseUint(digits, 10, 32)
		if !found || err != nil || n == 0 || more != (i < 2) {
			return 0, 0, 0, false
		}
		value[i] = uint32(n)
	}
	return value[0], value[1], value[2], true
}

// argonBearable bounds memory to 256 MiB and the work to 4 GiB of memory filled,
// which is about ten seconds.
func argonBearable(m, t, p uint32) bool {
	return m >= 8*p && p <= 16 && m <= 256*1024 && uint64(m)*uint64(t) <= 4*1024*1024
}

// Kind names the form of a stored password for people: "argon2id", "2y", "SSHA".
func Kind(stored string) string {
	if end := strings.IndexByte(stored, '}'); strings.HasPrefix(stored, "{") && end > 0 {
		return stored[1:end]
	}
	if part := strings.SplitN(stored, "$", 3); len(part) == 3 {
		return part[1]
	}
	return ""
}
