package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"postrider/internal/mail"
)

// Client asks a running daemon.
type Client struct {
	http  *http.Client
	base  string
	token string
	where string // for messages
}

// NewClient returns a client of the daemon behind a unix socket.
func NewClient(socket string) *Client {
	var d net.Dialer
	t := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) },
		DisableKeepAlives: true, // a command asks once
	}
	return &Client{http: &http.Client{Transport: t}, base: "http://localhost", where: socket}
}

// NewHTTPClient returns a client of the daemon at a URL such as
// "http://127.0.0.1:8025"; token may be empty.
func NewHTTPClient(base, token string) *Client {
	return &Client{
		http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		base: strings.TrimRight(base, "/"), token: token, where: base,
	}
}

// lineBytes bounds one line of a listing: 100,000 recipients at their longest.
const lineBytes = 64 << 20

// Status asks for the whole system at a glance.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	var s Status
	return &s, c.get(ctx, "/api/v1/status", &s)
}

// Ready asks for the checks of readiness. ok reports that all of them passed.
func (c *Client) Ready(ctx context.Context) (checks []Check, ok bool, err error) {
	resp, err := c.do(ctx, http.MethodGet, "/readyz")
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close() // only read
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
		return nil, false, failure(resp)
	}
	err = json.NewDecoder(resp.Body).Decode(&checks)
	return checks, resp.StatusCode == http.StatusOK, err
}

// Queue calls yield for each message that s matches, until it returns false. The
// message is valid during the call.
func (c *Client) Queue(ctx context.Context, s Selector, yield func(*Message) bool) error {
	resp, err := c.do(ctx, http.MethodGet, "/api/v1/queue?"+s.Values().Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close() // only read
	if resp.StatusCode != http.StatusOK {
		return failure(resp)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, lineBytes)
	for lines.Scan() {
		var m struct {
			Message
			problem
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return fmt.Errorf("listing of the queue: %w", err)
		}
		if m.Error != "" {
			return errors.New(m.Error)
		}
		if !yield(&m.Message) {
			return nil
		}
	}
	return lines.Err()
}

// Message asks for one message of the queue.
func (c *Client) Message(ctx context.Context, id mail.ID) (*Message, error) {
	var m Message
	return &m, c.get(ctx, "/api/v1/messages/"+id.String(), &m)
}

// Explain asks what would become of mail from an address, which may be empty, to
// one.
func (c *Client) Explain(ctx context.Context, to, from string) (*Explanation, error) {
	v := url.Values{"to": {to}}
	if from != "" {
		v.Set("from", from)
	}
	var e Explanation
	return &e, c.get(ctx, "/api/v1/explain?"+v.Encode(), &e)
}

// Raw copies the text of a message to w.
func (c *Client) Raw(ctx context.Context, id mail.ID, w io.Writer) error {
	resp, err := c.do(ctx, http.MethodGet, "/api/v1/messages/"+id.String()+"/raw")
	if err != nil {
		return err
	}
	defer resp.Body.Close() // only read
	if resp.StatusCode != http.StatusOK {
		return failure(resp)
	}
	_, err = io.Copy(w, resp.Body)
	return err
}

func (c *Client) get(ctx context.Context, path string, into any) error {
	resp, err := c.do(ctx, http.MethodGet, path)
	if err != nil {
		return err
	}
	defer resp.Body.Close() // only read
	if resp.StatusCode != http.StatusOK {
		return failure(resp)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

func (c *Client) do(ctx context.Context, method, path string) (*http.Response, error) {
	return c.Do(ctx, method, path, nil)
}

// Do sends a request to a path of the interface. The caller closes the body of the
// response, whatever its status is. The error is ErrNotRunning when nobody
// answers.
func (c *Client) Do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	switch {
	case err == nil:
		return resp, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w: nobody answers at %s", ErrNotRunning, c.where)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w: %s may be opened by its owner only", ErrDenied, c.where)
	}
	var ue *url.Error
	if errors.As(err, &ue) { // its URL is of no interest behind a socket
		err = ue.Err
	}
	return nil, fmt.Errorf("%s: %w", c.where, err)
}

// failure turns a reply that is an error into one.
func failure(resp *http.Response) error {
	var p problem
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&p); err != nil || p.Error == "" {
		p.Error = resp.Status
	}
	switch resp.StatusCode {
	case http.StatusNotFound:
		if p.Error == ErrNotFound.Error() {
			return ErrNotFound
		}
		return fmt.Errorf("%w: %s", ErrNotFound, p.Error)
	case http.StatusBadRequest:
		return fmt.Errorf("%w: %s", ErrSelector, strings.TrimPrefix(p.Error, ErrSelector.Error()+": "))
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %s", ErrDenied, p.Error)
	}
	return errors.New(p.Error)
}

// Timeout bounds what a command waits for an answer that is not a listing.
const Timeout = 30 * time.Second

// ConfirmClock says that the wall clock is right; ErrNotFound when nobody doubts it.
func (c *Client) ConfirmClock(ctx context.Context) error {
	resp, err := c.do(ctx, http.MethodPost, "/api/v1/queue/confirm-clock")
	if err != nil {
		return err
	}
	defer resp.Body.Close() // nothing of it is read
	if resp.StatusCode != http.StatusOK {
		return failure(resp)
	}
	return nil
}
