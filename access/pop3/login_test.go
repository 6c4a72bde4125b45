package pop3_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"postrider/access/pop3"
)

// SCRAM-SHA-256 logs in, in clear and bound to the TLS connection, with an initial
// response and without, and a wrong password gets what any other gets.
//
// Covers R12, HR4.
func TestScram(t *testing.T) {
	h := newHouse("user")
	_, dial := start(t, &pop3.Options{TLS: certificate, Limits: pop3.Limits{Failures: 9}}, h)
	for _, c := range []struct {
		password        string
		tls, plus, late bool
		want            string
	}{
		{password, false, false, false, "+OK"},
		{password, true, false, true, "+OK"},
		{password, true, true, false, "+OK"},
		{"wrong", true, true, true, "-ERR [AUTH] Name or password is wrong"},
	} {
		k := newTalk(t, dial())
		var binding scram.ChannelBinding
		if c.tls {
			k.want("STLS", "+OK Begin the handshake")
			nc := tls.Client(k.nc, &tls.Config{InsecureSkipVerify: true})
			k.nc, k.in = nc, bufio.NewReader(nc)
			if err := nc.Handshake(); err != nil {
				t.Fatal(err)
			}
			state := nc.ConnectionState()
			var err error
			if binding, err = scram.NewTLSExporterBinding(&state); err != nil {
				t.Fatal(err)
			}
		}
		client, err := scram.SHA256.NewClient("user", c.password, "")
		if err != nil {
			t.Fatal(err)
		}
		conversation, command := client.NewConversation(), "AUTH SCRAM-SHA-256"
		if c.plus {
			conversation, command = client.NewConversationWithChannelBinding(binding), "AUTH SCRAM-SHA-256-PLUS"
		}
		first, err := conversation.Step("")
		if err != nil {
			t.Fatal(err)
		}
		next := command + " " + encode(first)
		if c.late {
			k.want(command, "+ ")
			next = encode(first)
		}
		got := ""
		for range 4 {
			if _, err := io.WriteString(k.nc, next+"\r\n"); err != nil {
				t.Fatal(err)
			}
			got = k.line()
			challenge, more := strings.CutPrefix(got, "+ ")
			if !more {
				break
			}
			text, err := base64.StdEncoding.DecodeString(challenge)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := conversation.Step(string(text))
			if err != nil {
				t.Fatal(err)
			}
			next = encode(answer)
		}
		if got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// A guesser gets the same text for users who exist and who do not, a few guesses a
// connection, and after a number of them none at all, while the owner, who comes from
// an address of his own, still gets in.
//
// Covers HR4.
func TestGuesses(t *testing.T) {
	h := newHouse("user")
	_, dial := start(t, &pop3.Options{}, h)
	guesses, throttled := 0, false
	for range 10 {
		k := newTalk(t, dial())
		for i := range 5 {
			k.want(fmt.Sprintf("USER %s", []string{"user", "nobody"}[i%2]), "+OK Say PASS")
			if _, err := fmt.Fprintf(k.nc, "PASS guess%d\r\n", guesses); err != nil {
				t.Fatal(err)
			}
			switch got := k.line(); got {
			case "-ERR [AUTH] Name or password is wrong":
				if throttled {
					t.Fatalf("guess %d was looked at after others were not", guesses)
				}
			case "-ERR [SYS/TEMP] Too many failed logins, come back later":
				throttled = true
			default:
				t.Fatal(got)
			}
			guesses++
		}
		k.end()
	}
	if !throttled {
		t.Errorf("%d guesses were looked at", guesses)
	}
}

// What a client sends to log in is in no event: neither the password nor its base64
// nor a token, whether the login succeeds or fails or panics.
//
// Covers HR5.
func TestNoSecretsInEvents(t *testing.T) {
	h := newHouse("user", "Subject: one\r\n\r\n")
	_, dial := start(t, &pop3.Options{TLS: certificate}, h)
	const token = "s3cr3t-t0k3n"
	plain := encode("\x00user\x00" + password)
	wrong := encode("\x00user\x00" + password + "!")
	bearer := encode("n,,\x01auth=Bearer " + token + "\x01\x01")
	for _, texts := range [][]string{
		{"USER user", "PASS " + password, "QUIT"},
		{"USER user", "PASS " + password + "!"},
		{"USER down", "PASS " + password},
		{"USER panic", "PASS " + password},
		{"PASS " + password},
		{"AUTH PLAIN " + plain, "QUIT"},
		{"AUTH PLAIN", plain},
		{"AUTH PLAIN " + wrong},
		{"AUTH PLAIN " + plain + "!"},
		{"AUTH NONE " + plain},
		{"AUTH LOGIN " + encode("user"), encode(password)},
		{"AUTH LOGIN", encode("panic"), encode(password)},
		{"AUTH OAUTHBEARER " + bearer},
		{"AUTH XOAUTH2 " + encode("user=user\x01auth=Bearer "+token+"\x01\x01")},
		{password}, {plain}, {"STAT " + password}, {password + "\x00"},
	} {
		k := newTalk(t, dial())
		for _, text := range texts {
			if _, err := io.WriteString(k.nc, text+"\r\n"); err != nil {
				t.Fatal(err)
			}
			k.line()
		}
		_ = k.nc.Close()
	}
	var log bytes.Buffer
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		fmt.Fprintf(&log, "%+v %+v %s %v\n", e, *e.Conn, e.Stack, e.Panic)
	}
	if !strings.Contains(log.String(), "user@mx.example") || len(h.events) < 8 {
		t.Errorf("%d events do not tell of logins: %s", len(h.events), log.String())
	}
	for _, secret := range []string{password, plain, wrong, bearer, token, encode(password), encode(token)} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is in an event", secret)
		}
	}
}
