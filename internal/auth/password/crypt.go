package password

import (
	"strconv"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/md5crypt"
	"github.com/go-crypt/crypt/algorithm/pbkdf2"
	"github.com/go-crypt/crypt/algorithm/scrypt"
	"github.com/go-crypt/crypt/algorithm/sha1crypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
	"github.com/go-crypt/x/yescrypt"
)

// Bounds of what a stored form may ask for: about ten seconds of one core each,
// and 256 MiB.
const (
	maxBcryptCost   = 17
	maxRounds       = 10_000_000 // of PBKDF2, SHA-crypt and SHA1-crypt
	maxScryptMemory = 256 << 20
	maxStoredBytes  = 512
)

// parseCrypt reads "$id$...": the modular forms of crypt(3) and the PHC strings.
func parseCrypt(stored string) (parsed, error) {
	if len(stored) > maxStoredBytes || !strings.HasPrefix(stored, "$") {
		return parsed{}, ErrForm
	}
	part := strings.Split(stored, "$")
	if len(part) < 4 {
		return parsed{}, ErrForm
	}
	decode, bearable := decoder(part)
	if decode == nil {
		return parsed{}, ErrForm
	}
	if !bearable {
		return parsed{}, ErrCost
	}
	digest, err := decode(stored)
	if err != nil {
		return parsed{}, ErrForm // whose text may hold parts of the form
	}
	return parsed{match: func(plain []byte) (bool, error) {
		if len(plain) == 0 {
			return false, nil
		}
		ok, err := digest.MatchBytesAdvanced(plain)
		if err != nil {
			return false, ErrForm
		}
		return ok, nil
	}}, nil
}

// decoder returns what reads the form, nil when nothing does, and whether the work
// that it asks for is within the bounds.
func decoder(part []string) (decode algorithm.DecodeFunc, bearable bool) {
	switch part[1] {
	case "argon2i", "argon2d":
		if part[2] != "v=19" || len(part) != 6 {
			return nil, false
		}
		m, t, p, ok := argonCost(part[3])
		if !ok {
			return nil, false
		}
		return argon2.Decode, argonBearable(m, t, p)
	case "2", "2a", "2b", "2x", "2y":
		if cost, err := strconv.Atoi(part[2]); err != nil || cost < 4 || len(part) != 4 || len(part[3]) != 53 {
			return nil, false
		} else {
			return bcrypt.Decode, cost <= maxBcryptCost
		}
	case "pbkdf2", "pbkdf2-sha1", "pbkdf2-sha224", "pbkdf2-sha256", "pbkdf2-sha384", "pbkdf2-sha512":
		return pbkdf2.Decode, rounds(part[2])
	case "5", "6":
		text, given := strings.CutPrefix(part[2], "rounds=")
		return shacrypt.Decode, !given || rounds(text)
	case "sha1":
		return sha1crypt.Decode, rounds(part[2])
	case "1":
		return md5crypt.Decode, true
	case "scrypt":
		return scrypt.Decode, scryptBearable(part[2])
	case "y":
		_, ln, r, err := yescrypt.DecodeSetting([]byte(part[2]))
		if err != nil {
			return nil, false
		}
		return scrypt.Decode, memoryBearable(ln, r, 1)
	}
	return nil, false
}

func rounds(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n > 0 && n <= maxRounds
}

// scryptBearable reads "ln=15,r=8,p=1".
func scryptBearable(text string) bool {
	value := map[string]int{"ln": 0, "r": 8, "p": 1}
	for field := range strings.SplitSeq(text, ",") {
		name, digits, _ := strings.Cut(field, "=")
		n, err := strconv.Atoi(digits)
		if _, known := value[name]; !known || err != nil {
			return false
		}
		value[name] = n
	}
	return memoryBearable(value["ln"], value["r"], value["p"])
}

// memoryBearable bounds 128 * N * r octets, worked through p times.
func memoryBearable(ln, r, p int) bool {
	return ln >= 1 && ln <= 21 && r >= 1 && r <= 64 && p >= 1 && p <= 16 && 128*r<<ln <= maxScryptMemory
}
