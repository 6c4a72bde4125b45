package load

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"regexp"
	"strings"
)

// signer is the domain of the signature's key; selector its name there.
const (
	signer   = "bench.invalid"
	selector = "load"
)

// DKIMRecord returns the name and the text of the TXT record with the key that
// signs texts of Shape.Signed in a run with that seed.
func DKIMRecord(seed uint64) (name, text string) {
	public := signingKey(seed).Public().(ed25519.PublicKey)
	return selector + "._domainkey." + signer + ".", "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
}

// signingKey is no secret: what it signs is made up.
func signingKey(seed uint64) ed25519.PrivateKey {
	var s [ed25519.SeedSize]byte
	copy(s[:], "postbench")
	binary.BigEndian.PutUint64(s[len(s)-8:], seed)
	return ed25519.NewKeyFromSeed(s[:])
}

// signature returns the DKIM-Signature (RFC 6376, RFC 8463) of every message of a
// run, "" when none is wanted. It is true for all of them, for it covers the
// headers that they share and, by l=0, nothing of the body.
func signature(o *Options) string {
	if !o.Shape.Signed {
		return ""
	}
	empty := sha256.Sum256(nil)
	field := "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=" + signer + "; s=" + selector +
		"; t=1795348800;\r\n l=0; h=from:to:subject:date; bh=" + base64.StdEncoding.EncodeToString(empty[:]) + ";\r\n b="
	h := sha256.New()
	for line := range strings.SplitSeq(strings.TrimSuffix(headers(o), "\r\n"), "\r\n") {
		h.Write([]byte(relaxed(line) + "\r\n"))
	}
	h.Write([]byte(relaxed(field)))
	sum := ed25519.Sign(signingKey(o.Seed), h.Sum(nil))
	return field + base64.StdEncoding.EncodeToString(sum) + "\r\n"
}

// relaxed returns a header field in the canonical form of RFC 6376 section 3.4.2,
// without its CRLF.
func relaxed(field string) string {
	name, value, _ := strings.Cut(field, ":")
	value = regexp.MustCompile(`[ \t\r\n]+`).ReplaceAllString(value, " ")
	return strings.ToLower(strings.TrimSpace(name)) + ":" + strings.TrimSpace(value)
}
