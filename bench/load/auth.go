package load

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// Auth is how connections log in.
type Auth struct {
	Mechanism string // PLAIN, LOGIN, SCRAM-SHA-256; "": no login
	// User is the name; "%d" in it becomes a number from 0 to Users-1, another for
	// each connection in turn.
	User     string
	Users    int // 0: 1
	Password string
}

func (a *Auth) check() error {
	switch a.Mechanism {
	case "":
		return nil
	case sasl.Plain, sasl.Login, scramSHA256:
	default:
		return fmt.Errorf("%w: AUTH %q is none of PLAIN, LOGIN, SCRAM-SHA-256", ErrOptions, a.Mechanism)
	}
	if a.User == "" || a.Users < 0 {
		return fmt.Errorf("%w: AUTH without a user", ErrOptions)
	}
	return nil
}

const scramSHA256 = "SCRAM-SHA-256"

// login keeps what SCRAM derives from a password, which costs a millisecond.
type login struct {
	user   string
	client *scram.Client
}

// authenticate logs in (RFC 4954), when that is wanted.
func (w *worker) authenticate() error {
	a := &w.s.o.Auth
	if a.Mechanism == "" {
		return nil
	}
	n := (w.s.logins.Add(1) - 1) % uint64(max(1, a.Users))
	user := strings.Replace(a.User, "%d", strconv.FormatUint(n, 10), 1)
	client, err := w.mechanism(a, user)
	if err != nil {
		return err
	}
	_, first, err := client.Start()
	if err != nil {
		return fmt.Errorf("AUTH: %w", err)
	}
	w.c.RawString("AUTH " + a.Mechanism)
	if first != nil {
		w.c.RawString(" " + encode(first))
	}
	w.c.RawString("\r\n")
	for {
		if err := w.c.Ask(&w.answer, w.s.o.Timeout); err != nil {
			return err
		}
		switch w.answer.Code {
		case 235:
			return nil
		case 334:
		default:
			return fmt.Errorf("AUTH of %s: %w", user, w.refusal())
		}
		challenge, err := base64.StdEncoding.DecodeString(string(w.answer.Text))
		if err != nil {
			return fmt.Errorf("AUTH: %w", err)
		}
		response, err := client.Next(challenge)
		if err != nil {
			return fmt.Errorf("AUTH: %w", err)
		}
		w.c.RawString(base64.StdEncoding.EncodeToString(response) + "\r\n")
	}
}

// encode returns an initial response; an empty one is "=" (RFC 4954 section 4).
func encode(p []byte) string {
	if len(p) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(p)
}

func (w *worker) mechanism(a *Auth, user string) (sasl.Client, error) {
	switch a.Mechanism {
	case sasl.Plain:
		return sasl.NewPlainClient("", user, a.Password), nil
	case sasl.Login:
		return &loginClient{[]string{user, a.Password}}, nil
	}
	if w.login.client == nil || w.login.user != user {
		c, err := scram.SHA256.NewClient(user, a.Password, "")
		if err != nil {
			return nil, fmt.Errorf("AUTH: %w", err)
		}
		w.login = login{user, c}
	}
	return &scramClient{w.login.client.NewConversation()}, nil
}

// loginClient answers what a server of LOGIN asks for, name and password, in
// that order whatever the words.
type loginClient struct {
	answers []string
}

func (*loginClient) Start() (string, []byte, error) { return sasl.Login, nil, nil }

func (c *loginClient) Next([]byte) ([]byte, error) {
	if len(c.answers) == 0 {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	a := c.answers[0]
	c.answers = c.answers[1:]
	return []byte(a), nil
}

// scramClient is a SCRAM conversation as a mechanism.
type scramClient struct{ c *scram.ClientConversation }

func (s *scramClient) Start() (string, []byte, error) {
	first, err := s.c.Step("")
	return scramSHA256, []byte(first), err
}

func (s *scramClient) Next(challenge []byte) ([]byte, error) {
	next, err := s.c.Step(string(challenge))
	return []byte(next), err
}
