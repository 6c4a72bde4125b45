package outbound_test

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"

	"postrider/internal/mail"
	"postrider/relay/outbound"
)

const (
	loginUser     = "relay@x.example"
	loginPassword = "opénsésame, 7"
)

// guarded is a server that wants a login.
type guarded struct {
	goServer
	offer   []string
	false   bool // it knows no password, and takes any
	rounds  int
	refusal string
	used    string // mechanism
}

func (g *guarded) NewSession(c *gosmtp.Conn) (gosmtp.Session, error) {
	return &guardedSession{goSession: goSession{g: &g.goServer}, g: g, c: c}, nil
}

type guardedSession struct {
	goSession
	g    *guarded
	c    *gosmtp.Conn
	user string
}

func (s *guardedSession) AuthMechanisms() []string { return s.g.offer }

func (s *guardedSession) Mail(string, *gosmtp.MailOptions) error {
	if s.user != loginUser {
		return gosmtp.ErrAuthRequired
	}
	return nil
}

func (s *guardedSession) check(user, pass string) error {
	if user != loginUser || pass != loginPassword {
		return &gosmtp.SMTPError{Code: 535, EnhancedCode: gosmtp.EnhancedCode{5, 7, 8}, Message: s.g.refusal}
	}
	s.user = user
	return nil
}

func (s *guardedSession) Auth(mechanism string) (sasl.Server, error) {
	s.g.used = mechanism
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, user, pass string) error { return s.check(user, pass) }), nil
	case sasl.Login:
		return &loginServer{s: s}, nil
	}
	return s.scram(mechanism == "SCRAM-SHA-256-PLUS")
}

func (s *guardedSession) scram(plus bool) (sasl.Server, error) {
	pass := loginPassword
	if s.g.false {
		pass = "something"
	}
	client, err := scram.SHA256.NewClient(loginUser, pass, "")
	if err != nil {
		return nil, err
	}
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt", Iters: max(4096, min(s.g.rounds, 5000))})
	if err != nil {
		return nil, err
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return stored, nil })
	if err != nil {
		return nil, err
	}
	talk := server.NewConversation()
	if plus {
		state, ok := s.c.TLSConnectionState()
		if !ok {
			return nil, errors.New("in clear")
		}
		binding := scram.NewTLSUniqueBinding(state.TLSUnique)
		if state.Version == tls.VersionTLS13 {
			if binding, err = scram.NewTLSExporterBinding(&state); err != nil {
				return nil, err
			}
		}
		talk = server.NewConversationWithChannelBindingRequired(binding)
	}
	return &scramServer{s: s, talk: talk}, nil
}

type scramServer struct {
	s    *guardedSession
	talk *scram.ServerConversation
}

func (m *scramServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if m.talk.Done() {
		m.s.user = m.talk.Username()
		return nil, true, nil
	}
	answer, err := m.talk.Step(string(response))
	if m.s.g.false && m.talk.Done() {
		m.s.user = loginUser
		return []byte("v=" + base64.StdEncoding.EncodeToString(make([]byte, 32))), false, nil
	}
	if err != nil {
		return nil, false, m.s.check("", "")
	}
	if r := m.s.g.rounds; r > 0 {
		answer = strings.Replace(answer, "i=5000", fmt.Sprint("i=", r), 1)
	}
	return []byte(answer), false, nil
}

type loginServer struct {
	s     *guardedSession
	given []string
}

func (m *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response != nil {
		m.given = append(m.given, string(response))
	}
	switch len(m.given) {
	case 0:
		return []byte("User Name\x00"), false, nil
	case 1:
		return []byte("Secret, please"), false, nil
	}
	return nil, true, m.s.check(m.given[0], m.given[1])
}

// A login uses the safest mechanism on offer, and whatever becomes of it nothing
// that could be logged holds the password.
// Covers D15.
func TestLogin(t *testing.T) {
	ca := newAuthority(t)
	for _, c := range []struct {
		name    string
		offer   string
		level   mail.TLSLevel
		clear   bool // the server offers no TLS
		old     bool // it knows TLS 1.2 at most
		pass    string
		used    string
		refusal string
		want    string // status; "": delivered
		false   bool
		rounds  int
	}{
		{name: "plain", offer: "PLAIN LOGIN", used: "PLAIN"},
		{name: "login", offer: "GSSAPI LOGIN", used: "LOGIN"},
		{name: "scram", offer: "PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256", used: "SCRAM-SHA-256"},
		{name: "bound", offer: "PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS", used: "SCRAM-SHA-256-PLUS"},
		{name: "bound to TLS 1.2", offer: "PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS", old: true, used: "SCRAM-SHA-256-PLUS"},
		{name: "nothing to bind to", offer: "SCRAM-SHA-256 SCRAM-SHA-256-PLUS", level: mail.TLSNone, clear: true, used: "SCRAM-SHA-256"},
		{name: "clear allowed", offer: "PLAIN", level: mail.TLSNone, clear: true, used: "PLAIN"},
		{
			name: "clear not allowed", offer: "PLAIN SCRAM-SHA-256", clear: true,
			want: "454 4.7.11 no login without encryption, and the next hop offers none",
		},
		{name: "nothing known", offer: "GSSAPI CRAM-MD5", want: "454 4.7.4 the next hop offers no login that this system has"},
		{
			name: "wrong", offer: "PLAIN", pass: "sesame", used: "PLAIN", refusal: "application password required",
			want: "454 4.7.8 login refused: 535 5.7.8 application password required",
		},
		{
			name: "wrong, and said so", offer: "LOGIN", pass: "sesame", used: "LOGIN", refusal: "sesame is not right",
			want: "454 4.7.8 login refused: 535 5.7.8",
		},
		{
			name: "wrong, and quoted", offer: "PLAIN", pass: "sesame", used: "PLAIN", refusal: "bad AHJlbGF5QHguZXhhbXBsZQBzZXNhbWU= there",
			want: "454 4.7.8 login refused: 535 5.7.8",
		},
		{
			name: "wrong with scram", offer: "SCRAM-SHA-256-PLUS", pass: "sesame", used: "SCRAM-SHA-256-PLUS", refusal: "no",
			want: "454 4.7.8 login refused: 535 5.7.8 no",
		},
		{
			name: "server that does not know the password", offer: "SCRAM-SHA-256", used: "SCRAM-SHA-256", false: true,
			want: "454 4.7.8 the next hop does not keep to the rules of the login",
		},
		{
			name: "server that wants a year of work", offer: "SCRAM-SHA-256", used: "SCRAM-SHA-256", rounds: 2_000_000_000,
			want: "454 4.7.8 the next hop does not keep to the rules of the login",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := &guarded{offer: strings.Fields(c.offer), refusal: c.refusal, false: c.false, rounds: c.rounds}
			hop := startBackend(t, g, func(s *gosmtp.Server) {
				s.AllowInsecureAuth = true
				if !c.clear {
					s.TLSConfig = ca.server("127.0.0.1")
					if c.old {
						s.TLSConfig.MaxVersion = tls.VersionTLS12
					}
				}
			})
			eg := &mail.Egress{
				Hop: hop, TLS: mail.TLSPolicy{Level: c.level},
				Login: &mail.Login{User: loginUser, Password: loginPassword},
			}
			if c.pass != "" {
				eg.Login.Password = c.pass
			}
			d := delivery(&hello, "s@x", "a@y")
			err := outbound.New(outbound.Options{Timeouts: quick}).Serve(t.Context(), nil, eg, newSource(t, d))
			if g.used != c.used {
				t.Errorf("used %q, not %q", g.used, c.used)
			}
			for _, secret := range []string{eg.Login.Password, base64.StdEncoding.EncodeToString([]byte(eg.Login.Password))} {
				if all := fmt.Sprintf("%v %+v %#v %v", err, err, *eg.Login, eg); strings.Contains(all, secret) {
					t.Errorf("%q is in %q", secret, all)
				}
			}
			if c.want == "" {
				if err != nil || !d.Outcomes[0].OK() {
					t.Errorf("%v, %v", err, d.Outcomes[0])
				}
				return
			}
			checkError(t, err, "auth")
			if e, ok := err.(*outbound.Error); ok && (strings.TrimSpace(e.Status.String()) != c.want || e.Class != mail.ClassAuth || e.Said) {
				t.Errorf("%v of class %s, not %s", e.Status, e.Class, c.want)
			}
		})
	}
}
