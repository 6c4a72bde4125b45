package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"crypto/tls"
	"encoding/base64"
	"strings"
	"time"

	"github.com/xdg-go/scram"

	"postrider/internal/auth/password"
)

// bindings are the channel bindings that a connection has: tls-exporter (RFC 9266),
// and tls-unique (RFC 5929) where that is sound, which it never is from TLS 1.3 on
// (RFC 9266 section 3), and before only as far as Go gives it out: not without the
// extended master secret.
func bindings(at *Attempt) map[scram.ChannelBindingType]scram.ChannelBinding {
	if at.Binding == nil {
		return nil
	}
	m := make(map[scram.ChannelBindingType]scram.ChannelBinding, 2)
	if b, err := scram.NewTLSExporterBinding(at.Binding); err == nil {
		m[scram.ChannelBindingTLSExporter] = b
	}
	if u := at.Binding.TLSUnique; len(u) > 0 && at.Binding.Version < tls.VersionTLS13 {
		m[scram.ChannelBindingTLSUnique] = scram.NewTLSUniqueBinding(u)
	}
	return m
}

// scramServer is SCRAM-SHA-256, with or without PLUS. A user may have several
// passwords with keys (app passwords), all with one salt; since the client's proof
// fits only one of them, there is a conversation for each, and all say the same
// until the proof.
type scramServer struct {
	e     *Exchange
	nonce string
	entry *Entry
	talks []*talk
	final bool // the server's signature has gone out
}

// talk is the conversation by one set of keys.
type talk struct {
	c   *scram.ServerConversation
	app *AppPassword // nil: the user's own password, or nobody's
}

func newScramServer(e *Exchange) *scramServer {
	return &scramServer{e: e, nonce: base64.RawStdEncoding.EncodeToString(random(18))}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // which never fails
	return b
}

func (s *scramServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case response == nil && s.talks == nil:
		return []byte{}, false, nil
	case s.final: // the client has seen the signature, and says nothing more
		if len(response) > 0 {
			return nil, true, errMessage
		}
		return nil, true, nil
	case s.talks == nil:
		return s.first(string(response))
	}
	return s.proof(string(response))
}

// first answers the client's first message with the salt.
func (s *scramServer) first(message string) (challenge []byte, done bool, err error) {
	binding, ok := s.binding(message)
	if !ok {
		return nil, true, errMessage
	}
	name, ok := scramName(message)
	if !ok {
		return nil, true, errMessage
	}
	out := &s.e.out
	out.Name = s.e.a.resolve(name)
	if !s.e.a.limits.allow(out.Attempt.Client, out.Name, time.Now()) {
		out.Reason = Throttled
		return nil, true, s.e.conclude()
	}
	if s.entry, err = s.e.a.entry(s.e.ctx, out); err != nil {
		out.Reason, out.Err = Unavailable, err
		return nil, true, s.e.conclude()
	}
	for _, k := range s.keys() {
		t := &talk{app: k.app}
		t.c, challenge, err = s.converse(k.scram, binding, message)
		if err != nil {
			return nil, true, errMessage
		}
		if id := t.c.AuthzID(); id != "" && s.e.a.resolve(id) != out.Name {
			s.entry = nil // nobody may act for another: the proof will not fit
		}
		s.talks = append(s.talks, t)
	}
	return challenge, false, nil
}

// binding chooses the channel binding that the client's header asks for (RFC 5802
// section 6): with PLUS it must name one that this connection has, without it must
// name none.
func (s *scramServer) binding(message string) (scram.ChannelBinding, bool) {
	have := bindings(s.e.out.Attempt)
	header, _, _ := strings.Cut(message, ",")
	wanted, binds := strings.CutPrefix(header, "p=")
	if binds != (s.e.out.Mechanism == ScramPlus) {
		return scram.ChannelBinding{}, false
	}
	if binds {
		b, ok := have[scram.ChannelBindingType(wanted)]
		return b, ok
	}
	for _, b := range have {
		return b, true // so that "y" is seen for the downgrade it is
	}
	return scram.ChannelBinding{}, true
}

// scramName reads "n=" of "gs2-cbind-flag,[a=id],n=name,r=nonce": which is needed
// before the keys are known.
func scramName(message string) (string, bool) {
	part := strings.SplitN(message, ",", 5)
	if len(part) < 4 {
		return "", false
	}
	name, ok := strings.CutPrefix(part[2], "n=")
	if !ok || len(name) > 1024 {
		return "", false
	}
	return strings.NewReplacer("=2C", ",", "=3D", "=").Replace(name), true
}

// keySet is what one password of a user left.
type keySet struct {
	scram *password.Scram
	app   *AppPassword
}

// keys are those of the user, or of nobody: a salt that is always the same for the
// same name, and keys that no proof fits.
func (s *scramServer) keys() (list []keySet) {
	if e := s.entry; e != nil && e.Scram != nil {
		list = append(list, keySet{scram: e.Scram})
		for i := range e.AppPasswords {
			if p := &e.AppPasswords[i]; p.Scram != nil {
				list = append(list, keySet{scram: &password.Scram{Iterations: e.Scram.Iterations, Salt: e.Scram.Salt,
					StoredKey: p.Scram.StoredKey, ServerKey: p.Scram.ServerKey}, app: p})
			}
		}
		return list
	}
	rounds, saltBytes := s.e.a.scramDecoy(s.e.out.Name)
	mac := hmac.New(sha512.New, s.e.a.secret())
	mac.Write([]byte("postrider SCRAM salt 1\x00" + s.e.out.Name))
	return []keySet{{scram: &password.Scram{Iterations: rounds, Salt: mac.Sum(nil)[:saltBytes],
		StoredKey: random(32), ServerKey: random(32)}}}
}

// scramDecoy returns the rounds and the length of the salt that a client is told who
// names nobody: those of some user, so that imported keys tell nobody apart.
func (a *Authenticator) scramDecoy(name string) (rounds, saltBytes int) {
	for _, d := range a.o.Load().Databases {
		if d, ok := d.(ScramDecoys); ok {
			if rounds, saltBytes = d.ScramDecoy(name); rounds > 0 {
				return rounds, min(max(saltBytes, 1), sha512.Size)
			}
		}
	}
	return password.ScramIterations, 16
}

func (s *scramServer) converse(keys *password.Scram, b scram.ChannelBinding, message string) (*scram.ServerConversation, []byte, error) {
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) {
		return scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: string(keys.Salt), Iters: keys.Iterations},
			StoredKey:  keys.StoredKey, ServerKey: keys.ServerKey,
		}, nil
	})
	if err != nil {
		return nil, nil, err
	}
	c := server.WithNonceGenerator(func() string { return s.nonce }).NewConversationWithChannelBinding(b)
	first, err := c.Step(message)
	return c, []byte(first), err
}

// proof looks at the client's last message.
func (s *scramServer) proof(message string) (challenge []byte, done bool, err error) {
	out := &s.e.out
	if !s.e.a.limits.allow(out.Attempt.Client, out.Name, time.Now()) {
		out.Reason = Throttled
		return nil, true, s.e.conclude()
	}
	out.Reason = s.e.a.failure(s.entry)
	for _, t := range s.talks {
		final, err := t.c.Step(message)
		if err != nil || !t.c.Valid() || s.entry == nil || s.entry.Disabled {
			continue
		}
		if t.app != nil && !t.app.allows(out.Attempt.Protocol) {
			out.Reason = WrongProtocol
			continue
		}
		out.Reason, challenge = OK, []byte(final)
		s.e.user = s.entry.user()
		if t.app != nil {
			s.e.user.AppPassword = t.app.Name
		}
	}
	s.final = true
	return challenge, false, s.e.conclude()
}
