package oauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	maxKeys    = 100  // of an issuer
	minRSABits = 2048 // NIST SP 800-131A; go-jose does not look
)

// asymmetric are the algorithms that may be allowed.
func asymmetric() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

// allowed returns the algorithms by name. One with a shared secret would let
// whoever knows a public key sign with it (RFC 8725 section 2.1).
func allowed(names []string) ([]jose.SignatureAlgorithm, error) {
	all := asymmetric()
	if len(names) == 0 {
		return all, nil
	}
	var list []jose.SignatureAlgorithm
	for _, n := range names {
		a := jose.SignatureAlgorithm(n)
		if !slices.Contains(all, a) {
			return nil, fmt.Errorf("oauth: algorithm %q is not one of %v", n, all)
		}
		list = append(list, a)
	}
	return list, nil
}

// keys are those of the issuer, as they were published when they were last fetched.
type keys struct {
	algorithms []jose.SignatureAlgorithm
	fetch      func(ctx context.Context) ([]jose.JSONWebKey, error)
	o          *Options

	fetching chan struct{} // of one place, taken by who fetches

	mu      sync.Mutex // guards following
	list    []jose.JSONWebKey
	fetched time.Time // when list came
	tried   time.Time // when it was last asked for
	failure error     // of the last try
}

// find returns the keys that may have made a signature with this id and algorithm.
// None and no error: the issuer has no such key.
func (k *keys) find(ctx context.Context, id, algorithm string) ([]jose.JSONWebKey, error) {
	found, stale, ask := k.look(id, algorithm)
	if len(found) > 0 && !stale {
		return found, nil
	}
	if len(found) > 0 && !ask {
		return found, nil // they are old, but not too old
	}
	var err error
	if ask {
		err = k.refresh(ctx, len(found) == 0)
	} else {
		err = k.lastFailure()
	}
	switch {
	case err != nil && len(found) > 0:
		return found, nil
	case err != nil:
		return nil, err
	}
	found, _, _ = k.look(id, algorithm)
	return found, nil
}

func (k *keys) tries() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tried
}

func (k *keys) lastFailure() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failure
}

// look searches what is known, and says whether that is old and whether it is time
// to ask for more.
func (k *keys) look(id, algorithm string) (found []jose.JSONWebKey, stale, ask bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	age := now.Sub(k.fetched)
	ask = k.tried.IsZero() || now.Sub(k.tried) >= k.o.RefreshMin
	if k.fetched.IsZero() || age >= k.o.KeysMax {
		return nil, true, ask
	}
	for _, key := range k.list {
		// A token without an id is tried with each key of its kind (RFC 7515 section 4.1.4).
		if (id == "" || key.KeyID == id) && suits(key, algorithm) {
			found = append(found, key)
		}
	}
	return found, age >= k.o.Refresh, ask
}

// refresh fetches the keys. While somebody else does, it waits for what he gets, or
// returns at once when the caller can do without.
func (k *keys) refresh(ctx context.Context, wait bool) error {
	seen := k.tries()
	select {
	case k.fetching <- struct{}{}:
	default:
		if !wait {
			return nil
		}
		select {
		case k.fetching <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-k.fetching }()
	if !k.tries().Equal(seen) { // somebody was first
		return k.lastFailure()
	}
	list, err := k.fetch(ctx)
	if err != nil && ctx.Err() != nil {
		return err // the caller went away: nothing was learned
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried, k.failure = time.Now(), err
	if err == nil {
		k.list, k.fetched = list, k.tried
	}
	return err
}

// suits reports whether a key is for signatures of this algorithm (RFC 8725
// section 3.1: the key decides, not the token).
func suits(key jose.JSONWebKey, algorithm string) bool {
	if key.Algorithm != "" && key.Algorithm != algorithm {
		return false
	}
	switch key.Key.(type) {
	case *rsa.PublicKey:
		return algorithm[:2] == "RS" || algorithm[:2] == "PS"
	case *ecdsa.PublicKey:
		return algorithm[:2] == "ES"
	case ed25519.PublicKey:
		return algorithm == string(jose.EdDSA)
	}
	return false
}

// parseKeys reads a JWK set (RFC 7517 section 5). Keys that are not for signatures,
// of unknown kinds, too short, or secret are left out: a set may hold them.
func parseKeys(text []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("keys: there are %d, above the limit of %d", len(set.Keys), maxKeys)
	}
	var list []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil || !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
			continue
		}
		if r, ok := key.Key.(*rsa.PublicKey); ok && r.N.BitLen() < minRSABits {
			continue
		}
		list = append(list, key)
	}
	if len(list) == 0 {
		return nil, errors.New("keys: there is none for signatures")
	}
	return list, nil
}
