package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// maxAnswer is what is read of an answer, in bytes.
const maxAnswer = 1 << 20

var errNotActive = errors.New("it does not say whether the token is active")

// answerError is an answer of the issuer that nobody can make sense of.
type answerError struct {
	what  string
	cause error
}

func (e *answerError) Error() string { return "answer of " + e.what + ": " + e.cause.Error() }
func (e *answerError) Unwrap() error { return e.cause }

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           16,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

func (c *Checker) fetchKeys(ctx context.Context) ([]jose.JSONWebKey, error) {
	address := c.o.JWKSURL
	if address == "" {
		var err error
		if address, err = c.discover(ctx); err != nil {
			return nil, err
		}
	}
	text, err := c.get(ctx, address)
	if err != nil {
		return nil, err
	}
	return parseKeys(text)
}

// discover asks the issuer where its keys are (OpenID Connect Discovery 1.0 section
// 4), each time, since they may move.
func (c *Checker) discover(ctx context.Context) (address string, err error) {
	text, err := c.get(ctx, strings.TrimSuffix(c.o.Issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return "", err
	}
	var said struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return "", &answerError{"discovery", err}
	}
	if said.Issuer != c.o.Issuer { // section 4.3
		return "", &answerError{"discovery", fmt.Errorf("it is of the issuer %q", said.Issuer)}
	}
	if err := checkURL(said.JWKSURI); err != nil {
		return "", &answerError{"discovery", fmt.Errorf("jwks_uri %q: %w", said.JWKSURI, err)}
	}
	return said.JWKSURI, nil
}

func (c *Checker) get(ctx context.Context, address string) ([]byte, error) {
	return c.request(ctx, func(ctx context.Context) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	})
}

// request sends one and returns the text of a good answer.
func (c *Checker) request(ctx context.Context, build func(context.Context) (*http.Request, error)) (text []byte, err error) {
	err = c.gate.Do(ctx, func(ctx context.Context) error {
		r, err := build(ctx)
		if err != nil {
			return err
		}
		r.Header.Set("Accept", "application/json")
		answer, err := c.client.Do(r)
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }() // what it says was read, or does not matter
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %s", r.URL.Host, answer.Status)
		}
		text, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
		if err == nil && len(text) > maxAnswer {
			return fmt.Errorf("answer of %s is longer than %d bytes", r.URL.Host, maxAnswer)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("oauth: %w", err)
	}
	return text, nil
}
