package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
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
	text, err := c.request(ctx, func(ctx context.Context) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodGet, c.o.JWKSURL, nil)
	})
	if err != nil {
		return nil, err
	}
	return parseKeys(text)
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
