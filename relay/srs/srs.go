// Package srs rewrites the sender of forwarded mail by the Sender Rewriting Scheme
// and finds the way back for bounces.
//
// A receiver that checks SPF sees mail of one domain come from a host of another
// when an alias forwards it. So it leaves with a sender of ours that holds the old
// one:
//
//	SRS0=HHHHHH=TT=example.com=alice@forwarder.example
//
// where TT is the day and the hash keeps strangers from making such addresses, by
// which they could relay. A sender that somebody else has rewritten already does
// not grow by another layer: SRS1 names the first forwarder only, and a bounce
// skips those between.
//
// The form, the hash (HMAC-SHA1 in base 64 over the parts in lower case) and the
// day (base 32, modulo 1024) are those of the published scheme and of its common
// implementations, so that systems which share secrets and the length of the hash
// understand each other. Case is no part of the hash, since servers on the way
// back may change it.
//
// # Guarantees
//
// Reverse returns an address only if one of the secrets signed it, and for SRS0
// not more than MaxAge ago. What Forward made, Reverse turns back, whatever became
// of the case of its letters (of the old sender's local part case may be lost).
//
// # Concurrency
//
// A Rewriter is immutable and may be used by any goroutine.
package srs

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"time"

	"postrider/internal/mail"
)

// Errors of Forward and Reverse.
var (
	// ErrLong says that the rewritten local part would have more than 64 octets,
	// which no server must take (RFC 5321 section 4.5.3.1.1).
	ErrLong = errors.New("rewritten sender is too long")
	// ErrForeign says that an address is not one that Forward makes.
	ErrForeign = errors.New("not a rewritten sender")
	// ErrForged says that none of the secrets has signed the address.
	ErrForged = errors.New("signature of a rewritten sender does not match")
	// ErrExpired says that the address was good once.
	ErrExpired = errors.New("rewritten sender has expired")
)

// The refusals of an address at RCPT (RFC 3463: X.7.1, delivery not authorized).
var (
	statusForged  = mail.NewStatus(550, 5, 7, 1, "this return address is not one of ours")
	statusExpired = mail.NewStatus(550, 5, 7, 1, "this return address has expired")
)

// Options say how senders are rewritten.
type Options struct {
	Domain  string   // of rewritten senders; must be set
	Secrets []string // the first one signs, all verify; at least one
	MaxAge  time.Duration
	// HashLength is the characters of a signature. 0: 6, which whoever tries a
	// thousand a second finds in some days; published implementations use 4.
	HashLength int
	Clock      func() time.Time // nil: time.Now
}

const (
	defaultMaxAge     = 21 * 24 * time.Hour
	defaultHashLength = 6
	maxHashLength     = 20 // of the 27 that there are
	maxLocal          = 64
	slots             = 1024 // days until the stamp begins anew
	day               = 24 * 60 * 60
)

// Rewriter rewrites senders.
type Rewriter struct {
	domain  []byte // lower case
	secrets [][]byte
	days    int64
	length  int
	clock   func() time.Time
}

// New returns a rewriter.
func New(o Options) (*Rewriter, error) {
	r := &Rewriter{domain: bytes.ToLower([]byte(o.Domain)), days: int64(o.MaxAge / (24 * time.Hour)), length: o.HashLength, clock: o.Clock}
	for _, s := range o.Secrets {
		if s != "" {
			r.secrets = append(r.secrets, []byte(s))
		}
	}
	switch {
	case !mail.ValidDomain(r.domain):
		return nil, errors.New("no domain for rewritten senders")
	case len(r.secrets) == 0:
		return nil, errors.New("no secret to sign rewritten senders with")
	}
	if o.MaxAge <= 0 {
		r.days = int64(defaultMaxAge / (24 * time.Hour))
	}
	r.days = min(r.days, slots/2)
	if r.length <= 0 {
		r.length = defaultHashLength
	}
	r.length = min(r.length, maxHashLength)
	if r.clock == nil {
		r.clock = time.Now
	}
	return r, nil
}

// Domain is the domain of rewritten senders, in lower case.
func (r *Rewriter) Domain() []byte { return r.domain }

// Forward appends the sender to give to mail of sender, a canonical address, that
// is forwarded and arrived at the moment given, so that it has the same one at each
// of its attempts and is known to who greylists. The null sender, and one that has our domain already, stay as they
// are. After ErrLong the caller has to do without.
func (r *Rewriter) Forward(dst, sender []byte, arrived time.Time) ([]byte, error) {
	if len(sender) == 0 {
		return dst, nil
	}
	a, err := mail.ParseAddress(bytes.Clone(sender), true)
	if err != nil {
		return dst, err
	}
	if bytes.Equal(a.Domain, r.domain) {
		return append(dst, sender...), nil
	}
	local := r.local(a, arrived)
	if len(local) > maxLocal {
		return dst, ErrLong
	}
	out := mail.Address{Local: local, Domain: r.domain}.AppendText(dst)
	if len(out)-len(dst) > mail.MaxAddressLen {
		return dst, ErrLong
	}
	return out, nil
}

// local makes the local part for a.
func (r *Rewriter) local(a mail.Address, arrived time.Time) []byte {
	first, rest := a.Domain, []byte(nil)
	switch kind, body := split(a.Local); kind {
	case '0': // somebody's SRS0: its separator stays with it
		rest = body
	case '1': // somebody's SRS1: his signature goes, the first forwarder stays
		parts := bytes.SplitN(body[1:], []byte("="), 3)
		if len(parts) == 3 && mail.ValidDomain(parts[1]) && len(parts[2]) > 1 && isSeparator(parts[2][0]) {
			first, rest = parts[1], parts[2]
		}
	}
	if rest != nil {
		out := append([]byte("SRS1="), r.hash(r.secrets[0], first, rest)...)
		out = append(append(out, '='), first...)
		return append(append(out, '='), rest...)
	}
	n := dayOf(arrived)
	stamp := []byte{base32[n>>5&31], base32[n&31]}
	out := append([]byte("SRS0="), r.hash(r.secrets[0], stamp, a.Domain, a.Local)...)
	out = append(append(out, '='), stamp...)
	out = append(append(out, '='), a.Domain...)
	return append(append(out, '='), a.Local...)
}

// Is reports an address that claims to be a rewritten sender of ours, so that
// Reverse knows its way or the reason why there is none.
func (r *Rewriter) Is(a mail.Address) bool {
	kind, _ := split(a.Local)
	return kind != 0 && bytes.Equal(a.Domain, r.domain)
}

// Reverse appends the canonical address that a rewritten sender of ours stands for.
func (r *Rewriter) Reverse(dst []byte, a mail.Address) ([]byte, error) {
	if !r.Is(a) {
		return dst, ErrForeign
	}
	kind, body := split(a.Local)
	var back mail.Address
	var err error
	if kind == '0' {
		back, err = r.reverse0(body[1:])
	} else {
		back, err = r.reverse1(body[1:])
	}
	if err != nil {
		return dst, err
	}
	// It is parsed as what a client sends is: the signature says that it is ours,
	// not that it is well-formed.
	back, err = mail.ParseAddress(back.AppendText(nil), true)
	if err != nil {
		return dst, ErrForged
	}
	return back.AppendText(dst), nil
}

// reverse0 reads "hash=stamp=domain=local".
func (r *Rewriter) reverse0(body []byte) (mail.Address, error) {
	parts := bytes.SplitN(body, []byte("="), 4)
	if len(parts) != 4 {
		return mail.Address{}, ErrForged
	}
	hash, stamp, domain, local := parts[0], parts[1], parts[2], parts[3]
	if !r.signed(hash, stamp, domain, local) {
		return mail.Address{}, ErrForged
	}
	if !r.fresh(stamp) {
		return mail.Address{}, ErrExpired
	}
	return mail.Address{Local: local, Domain: domain}, nil
}

// reverse1 reads "hash=domain=rest" and gives the SRS0 address that the first
// forwarder made; how old it is is his to judge.
func (r *Rewriter) reverse1(body []byte) (mail.Address, error) {
	parts := bytes.SplitN(body, []byte("="), 3)
	if len(parts) != 3 || !r.signed(parts[0], parts[1], parts[2]) {
		return mail.Address{}, ErrForged
	}
	return mail.Address{Local: append([]byte("SRS0"), parts[2]...), Domain: parts[1]}, nil
}

// Refusal is the reply to RCPT for an error of Reverse.
func Refusal(err error) mail.Status {
	if errors.Is(err, ErrExpired) {
		return statusExpired
	}
	return statusForged
}

// split returns '0' or '1' and what follows "SRS0" or "SRS1", beginning with the
// separator; 0 when local is neither.
func split(local []byte) (kind byte, body []byte) {
	if len(local) < 6 || !bytes.EqualFold(local[:3], []byte("SRS")) || local[3] != '0' && local[3] != '1' || !isSeparator(local[4]) {
		return 0, nil
	}
	return local[3], local[4:]
}

func isSeparator(c byte) bool { return c == '=' || c == '+' || c == '-' }

// hash signs parts, in lower case and one behind the other.
func (r *Rewriter) hash(secret []byte, parts ...[]byte) []byte {
	h := hmac.New(sha1.New, secret)
	for _, p := range parts {
		h.Write(lower(p))
	}
	return base64.StdEncoding.AppendEncode(nil, h.Sum(nil))[:r.length]
}

// signed reports whether one of the secrets gives the hash, letters in any case.
func (r *Rewriter) signed(hash []byte, parts ...[]byte) bool {
	if len(hash) != r.length {
		return false
	}
	ok := false
	for _, s := range r.secrets {
		ok = hmac.Equal(lower(hash), lower(r.hash(s, parts...))) || ok
	}
	return ok
}

// lower returns a copy of b with ASCII letters in lower case.
func lower(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		out[i] = c
	}
	return out
}

const base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

func dayOf(t time.Time) int64 { return t.Unix() / day % slots }

// fresh reports a stamp of not more than MaxAge ago. Tomorrow's counts, too: the
// clocks of systems that share secrets may differ, and a clock may be set back.
func (r *Rewriter) fresh(stamp []byte) bool {
	if len(stamp) != 2 {
		return false
	}
	then := int64(0)
	for _, c := range stamp {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		i := bytes.IndexByte([]byte(base32), c)
		if i < 0 {
			return false
		}
		then = then<<5 | int64(i)
	}
	age := (dayOf(r.clock()) - then + slots) % slots
	return age <= r.days || age == slots-1
}
