package remote

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"postrider/delivery/mailbox"
)

// Checker is a store that can look at itself.
type Checker interface {
	// Fsck calls report for what is not as it should be; with texts it reads all of
	// them. See mailbox.Store.Fsck.
	Fsck(ctx context.Context, texts bool, report func(mailbox.Finding)) (mailbox.Checked, error)
}

// checkLine is a line of the answer: findings, and then what was looked at, or why
// that broke off.
type checkLine struct {
	Finding *mailbox.Finding `json:"finding,omitempty"`
	Checked *mailbox.Checked `json:"checked,omitempty"`
	problem
}

// findingsMax bounds the findings of one answer: with so many a list helps nobody.
const findingsMax = 100_000

func (h handler) fsck(w http.ResponseWriter, r *http.Request) {
	c, ok := h.store.(Checker)
	if !ok {
		write(w, http.StatusNotImplemented, problem{Error: "this store cannot be checked"})
		return
	}
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	n := 0
	checked, err := c.Fsck(r.Context(), r.URL.Query().Get("texts") == "true", func(f mailbox.Finding) {
		if n++; n <= findingsMax {
			_ = lines.Encode(checkLine{Finding: &f}) // the client has gone
		}
	})
	last := checkLine{Checked: &checked}
	if err != nil {
		last.problem = problemOf(err)
	}
	if lines.Encode(last) == nil {
		_ = out.Flush() // the client has gone
	}
}

// Fsck has the daemon look at its store.
func (c *Client) Fsck(ctx context.Context, texts bool, report func(mailbox.Finding)) (mailbox.Checked, error) {
	resp, err := c.open(ctx, http.MethodPost, "fsck", url.Values{"texts": {strconv.FormatBool(texts)}}, nil)
	if err != nil {
		return mailbox.Checked{}, err
	}
	defer resp.Body.Close() // only read
	lines := json.NewDecoder(resp.Body)
	for {
		var line checkLine
		if err := lines.Decode(&line); err != nil {
			if err == io.EOF {
				err = errors.New("the check broke off")
			}
			return mailbox.Checked{}, err
		}
		switch {
		case line.Finding != nil:
			report(*line.Finding)
		case line.Checked != nil && line.Error != "":
			return *line.Checked, line.err()
		case line.Checked != nil:
			return *line.Checked, nil
		}
	}
}

var _ Checker = (*Client)(nil)
