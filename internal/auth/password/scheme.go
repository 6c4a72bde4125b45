package password

import (
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// parseScheme reads "{NAME}rest": the schemes of LDAP (RFC 3112 has the idea) and
// the names that Dovecot gives to every form. A name may end in ".b64" or ".hex".
func parseScheme(stored string) (parsed, error) {
	end := strings.IndexByte(stored, '}')
	if end < 0 || len(stored) > maxStoredBytes+MaxBytes {
		return parsed{}, ErrForm
	}
	name, rest := strings.ToUpper(stored[1:end]), stored[end+1:]
	name, hexadecimal := strings.CutSuffix(name, ".HEX")
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".B64"), ".BASE64")
	switch name {
	case "PLAIN", "CLEAR", "CLEARTEXT":
		return parsePlain(rest)
	case "CRYPT", "BLF-CRYPT", "SHA256-CRYPT", "SHA512-CRYPT", "MD5-CRYPT", "MD5", "ARGON2", "ARGON2I", "ARGON2ID":
		if strings.HasPrefix(rest, "$") { // "{MD5}" is a digest elsewhere, and MD5-crypt with Dovecot
			if id, ok := strings.CutPrefix(rest, "$argon2id$"); ok && strings.HasPrefix(id, "v=19$") {
				return parseArgon2id(id)
			}
			return parseCrypt(rest)
		}
		return parsed{}, ErrForm
	case "PBKDF2":
		return parsePBKDF2(rest)
	case "PBKDF2-SHA1", "PBKDF2-SHA256", "PBKDF2-SHA512":
		return parseCrypt("$" + strings.ToLower(name) + "$" + rest)
	case "SCRAM-SHA-256":
		return parseScram(rest)
	}
	if size, sum := digestOf(name); sum != nil {
		return parseDigest(rest, size, sum, strings.HasPrefix(name, "S") && !strings.HasPrefix(name, "SHA"), hexadecimal)
	}
	return parsed{}, ErrForm
}

func parsePlain(want string) (parsed, error) {
	if want == "" {
		return parsed{}, ErrForm
	}
	return parsed{plain: true, fast: true, match: func(plain []byte) (bool, error) {
		return subtle.ConstantTimeCompare(plain, []byte(want)) == 1, nil
	}}, nil
}

// digestOf returns the digest of an LDAP scheme; a leading S before another S or an
// M is for salt.
func digestOf(name string) (size int, sum func([]byte) []byte) {
	switch name {
	case "SHA", "SHA1", "SSHA":
		return sha1.Size, func(b []byte) []byte { s := sha1.Sum(b); return s[:] }
	case "SHA256", "SSHA256":
		return sha256.Size, func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
	case "SHA512", "SSHA512":
		return sha512.Size, func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }
	case "SMD5", "LDAP-MD5", "PLAIN-MD5":
		return md5.Size, func(b []byte) []byte { s := md5.Sum(b); return s[:] }
	}
	return 0, nil
}

// parseDigest reads a digest, with the salt behind it when salted.
func parseDigest(text string, size int, sum func([]byte) []byte, salted, hexadecimal bool) (parsed, error) {
	var raw []byte
	var err error
	if hexadecimal || !salted && len(text) == 2*size {
		raw, err = hex.DecodeString(text)
	} else {
		raw, err = base64.StdEncoding.DecodeString(text)
		if err != nil {
			raw, err = base64.RawStdEncoding.DecodeString(text)
		}
	}
	if err != nil || len(raw) < size || salted != (len(raw) > size) {
		return parsed{}, ErrForm
	}
	want, salt := raw[:size], raw[size:]
	return parsed{fast: true, match: func(plain []byte) (bool, error) {
		got := sum(append(append(make([]byte, 0, len(plain)+len(salt)), plain...), salt...))
		return subtle.ConstantTimeCompare(got, want) == 1, nil
	}}, nil
}

// parsePBKDF2 reads Dovecot's "$1$salt$rounds$hex", which is PBKDF2 with SHA-1.
func parsePBKDF2(text string) (parsed, error) {
	part := strings.Split(text, "$")
	if len(part) != 5 || part[0] != "" || part[1] != "1" || part[2] == "" {
		return parsed{}, ErrForm
	}
	n, err := strconv.Atoi(part[3])
	want, err2 := hex.DecodeString(part[4])
	if err != nil || err2 != nil || n < 1 || len(want) < sha1.Size || len(want) > 64 {
		return parsed{}, ErrForm
	}
	if n > maxRounds {
		return parsed{}, ErrCost
	}
	salt := []byte(part[2])
	return parsed{match: func(plain []byte) (bool, error) {
		got, err := pbkdf2.Key(sha1.New, string(plain), salt, n, len(want))
		if err != nil {
			return false, ErrForm
		}
		return subtle.ConstantTimeCompare(got, want) == 1, nil
	}}, nil
}

// parseScram checks a password against SCRAM keys, Dovecot's
// "iterations,salt,stored key,server key".
func parseScram(text string) (parsed, error) {
	s, err := ParseScram(text)
	if err != nil {
		return parsed{}, err
	}
	return parsed{match: s.Match}, nil
}
