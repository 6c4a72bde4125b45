package userfile

import (
	"crypto/rand"

	"postrider/internal/auth"
	"postrider/internal/auth/password"
)

// SetPassword sets a user's password, and the keys for SCRAM when scram. App
// passwords keep their digests, and their SCRAM keys when the user keeps keys, since
// the salt stays.
func SetPassword(e *auth.Entry, plain []byte, scram bool) (err error) {
	if e.Hash, err = password.Hash(plain); err != nil {
		return err
	}
	if !scram {
		e.Scram = nil
		for i := range e.AppPasswords {
			e.AppPasswords[i].Scram = nil
		}
		return nil
	}
	var salt []byte
	if e.Scram != nil && e.Scram.Iterations == password.ScramIterations {
		salt = e.Scram.Salt
	} else {
		for i := range e.AppPasswords {
			e.AppPasswords[i].Scram = nil // of another salt or number of rounds
		}
	}
	e.Scram, err = password.NewScram(plain, salt)
	return err
}

// AddAppPassword makes an app password, which is returned to be shown once. It has
// SCRAM keys where the user has, and where the user has no other password: programs
// that find SCRAM offered try nothing else.
func AddAppPassword(e *auth.Entry, secret []byte, name string, scopes []string) (plain string, err error) {
	p := auth.AppPassword{Name: name, Scopes: scopes}
	if plain, p.Digest, err = auth.NewAppPassword(secret); err != nil {
		return "", err
	}
	if e.Hash == "" && e.Scram == nil { // keys that fit nothing, for their salt
		var none [32]byte
		_, _ = rand.Read(none[:]) // which never fails
		if e.Scram, err = password.NewScram(none[:], nil); err != nil {
			return "", err
		}
	}
	if e.Scram != nil {
		if p.Scram, err = password.NewScramOf([]byte(plain), e.Scram); err != nil {
			return "", err
		}
	}
	e.AppPasswords = append(e.AppPasswords, p)
	return plain, nil
}
