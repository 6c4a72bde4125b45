package remote

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"

	"postrider/delivery/transfer"
	"postrider/internal/mail"
)

// Client is the Store of a running daemon.
type Client struct {
	// Do sends a request to a path of the daemon. The caller closes the body of the
	// response, whatever its status is.
	Do func(ctx context.Context, method, path string, body io.Reader) (*http.Response, error)
}

// ask sends a request and reads the answer into into.
func (c *Client) ask(ctx context.Context, method, verb string, q url.Values, body io.Reader, into any) error {
	resp, err := c.open(ctx, method, verb, q, body)
	if err != nil {
		return err
	}
	return errors.Join(json.NewDecoder(resp.Body).Decode(into), resp.Body.Close())
}

// open sends a request and returns the answer, if it is not an error.
func (c *Client) open(ctx context.Context, method, verb string, q url.Values, body io.Reader) (*http.Response, error) {
	path := Path + verb
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	resp, err := c.Do(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	var p problem
	if json.NewDecoder(io.LimitReader(resp.Body, lineMax)).Decode(&p) != nil || p.Error == "" {
		p.Error = resp.Status
	}
	return nil, errors.Join(p.err(), resp.Body.Close())
}

func encode(v any) (io.Reader, error) {
	text, err := json.Marshal(v)
	return bytes.NewReader(text), err
}

// Accounts returns the names of all accounts.
func (c *Client) Accounts(ctx context.Context) (names []string, err error) {
	return names, c.ask(ctx, http.MethodGet, "accounts", nil, nil, &names)
}

// Folders returns the mailboxes of an account.
func (c *Client) Folders(ctx context.Context, account string) (folders []transfer.Folder, err error) {
	return folders, c.ask(ctx, http.MethodGet, "folders", url.Values{"account": {account}}, nil, &folders)
}

// Prepare makes what is missing.
func (c *Client) Prepare(ctx context.Context, account string, f *transfer.Folder) (out transfer.Folder, err error) {
	body, err := encode(f)
	if err != nil {
		return out, err
	}
	return out, c.ask(ctx, http.MethodPost, "prepare", url.Values{"account": {account}}, body, &out)
}

// Known says which messages were filed before.
func (c *Client) Known(ctx context.Context, account, folder string, ids []mail.ID) (known []bool, err error) {
	text := make([]string, len(ids))
	for i, id := range ids {
		text[i] = id.String()
	}
	body, err := encode(text)
	if err != nil {
		return nil, err
	}
	err = c.ask(ctx, http.MethodPost, "known", url.Values{"account": {account}, "folder": {folder}}, body, &known)
	if err == nil && len(known) != len(ids) {
		err = fmt.Errorf("%d answers for %d messages", len(known), len(ids))
	}
	return known, err
}

// Append files messages.
func (c *Client) Append(ctx context.Context, account, folder string, batch []transfer.Filing) (results []transfer.Result, err error) {
	var body bytes.Buffer
	for i := range batch {
		f := frame{Message: batch[i].Message, ID: batch[i].ID.String()}
		if err := writeFrame(&body, &f, batch[i].Text); err != nil {
			return nil, err
		}
	}
	return results, c.ask(ctx, http.MethodPost, "append", url.Values{"account": {account}, "folder": {folder}}, &body, &results)
}

// Settle keeps the UIDs below uidNext from being given to others.
func (c *Client) Settle(ctx context.Context, account, folder string, uidNext uint32) error {
	body, err := encode(uidNext)
	if err != nil {
		return err
	}
	return c.ask(ctx, http.MethodPost, "settle", url.Values{"account": {account}, "folder": {folder}}, body, &struct{}{})
}

// Messages gives the messages of a mailbox.
func (c *Client) Messages(ctx context.Context, account string, folder *transfer.Folder) iter.Seq2[*transfer.Message, error] {
	return func(yield func(*transfer.Message, error) bool) {
		if err := c.stream(ctx, account, folder, yield); err != nil {
			yield(nil, err)
		}
	}
}

func (c *Client) stream(ctx context.Context, account string, folder *transfer.Folder, yield func(*transfer.Message, error) bool) error {
	body, err := encode(folder)
	if err != nil {
		return err
	}
	resp, err := c.open(ctx, http.MethodPost, "messages", url.Values{"account": {account}}, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close() // only read
	in := bufio.NewReaderSize(resp.Body, 64<<10)
	for {
		f, text, err := readFrame(in)
		switch {
		case err == io.EOF:
			return errors.New("the listing broke off")
		case err != nil:
			return err
		case f.Last && f.Error != "":
			return errors.New(f.Error)
		case f.Last:
			return nil
		}
		m := &f.Message
		m.Name, m.Key = f.Name, fmt.Sprint(m.UID)
		if f.Error != "" {
			err = errors.New(f.Error)
		}
		m.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
		if !yield(m, err) {
			return nil
		}
	}
}

var _ transfer.Store = (*Client)(nil)
