package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

// ScramIterations is the number of rounds of new SCRAM keys. RFC 7677 section 4
// asks for 4,096 at least; so few would make the keys the easy way to the password
// for who gets hold of the file, beside an argon2id hash that costs 65 ms. The
// client pays for each, once a connection: so many take it about 20 ms.
const ScramIterations = 65_536

// Scram is what a server keeps to take SCRAM-SHA-256 logins (RFC 5802 section 3).
type Scram struct {
	Iterations int
	Salt       []byte
	StoredKey  []byte // 32 octets
	ServerKey  []byte // 32 octets
}

// NewScram makes the keys of a password. The salt is a new random one unless given.
func NewScram(plain, salt []byte) (*Scram, error) {
	if len(plain) == 0 || len(plain) > MaxBytes {
		return nil, ErrLong
	}
	if salt == nil {
		salt = make([]byte, saltBytes)
		if _, err := rand.Read(salt); err != nil {
			return nil, fmt.Errorf("password: %w", err)
		}
	}
	return derive(plain, salt, ScramIterations)
}

func derive(plain, salt []byte, iterations int) (*Scram, error) {
	client, err := scram.SHA256.NewClient("", string(plain), "")
	if err != nil { // what SASLprep does not let through is taken as it is (RFC 5802 section 2.2 leaves such clients no choice)
		client, err = scram.SHA256.NewClientUnprepped("", string(plain), "")
	}
	if err != nil {
		return nil, fmt.Errorf("password: SCRAM: %w", err)
	}
	c, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: iterations})
	if err != nil {
		return nil, fmt.Errorf("password: SCRAM: %w", err)
	}
	return &Scram{Iterations: iterations, Salt: salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey}, nil
}

// Match reports whether plain is the password that the keys were made of.
func (s *Scram) Match(plain []byte) (bool, error) {
	if len(plain) == 0 {
		return false, nil
	}
	got, err := derive(plain, s.Salt, s.Iterations)
	if err != nil {
		return false, nil // a password that cannot be one
	}
	return subtle.ConstantTimeCompare(got.StoredKey, s.StoredKey) == 1, nil
}

// String is the form at rest: "iterations,salt,stored key,server key", the last
// three in base64. Dovecot writes the same.
func (s *Scram) String() string {
	b64 := base64.StdEncoding.EncodeToString
	return strconv.Itoa(s.Iterations) + "," + b64(s.Salt) + "," + b64(s.StoredKey) + "," + b64(s.ServerKey)
}

// ParseScram reads what String writes.
func ParseScram(text string) (*Scram, error) {
	digits, text, _ := strings.Cut(text, ",")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 {
		return nil, ErrForm
	}
	if n > maxRounds {
		return nil, ErrCost
	}
	s := &Scram{Iterations: n}
	buf := make([]byte, 0, 128) // all in one
	for i, into := range [...]*[]byte{&s.Salt, &s.StoredKey, &s.ServerKey} {
		var field string
		var more bool
		field, text, more = strings.Cut(text, ",")
		if more != (i < 2) || len(field) > 88 {
			return nil, ErrForm
		}
		was := len(buf)
		if buf, err = base64.StdEncoding.AppendDecode(buf, []byte(field)); err != nil {
			return nil, ErrForm
		}
		*into = buf[was:len(buf):len(buf)]
	}
	if len(s.Salt) == 0 || len(s.Salt) > 64 || len(s.StoredKey) != 32 || len(s.ServerKey) != 32 {
		return nil, ErrForm
	}
	return s, nil
}

// NewScramOf makes the keys of another password with the salt and rounds of s.
func NewScramOf(plain []byte, s *Scram) (*Scram, error) { return derive(plain, s.Salt, s.Iterations) }
