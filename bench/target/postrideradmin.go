package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"
)

// adminSocket is the operator's interface of a postrider that runs.
type adminSocket string

// postriderStatus is the part of its status that matters here.
type postriderStatus struct {
	ConfigLoaded time.Time `json:"config_loaded"`
	ReloadError  string    `json:"reload_error"`
	Ledger       struct {
		Queued int64 `json:"queued"` // recipients
	} `json:"ledger"`
}

func (a adminSocket) status(ctx context.Context) (postriderStatus, error) {
	var s postriderStatus
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", string(a))
		},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://postrider/api/v1/status", nil)
	if err != nil {
		return s, err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return s, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return s, fmt.Errorf("status: %s", response.Status)
	}
	return s, json.NewDecoder(response.Body).Decode(&s)
}

// reload sends SIGHUP and waits until it has been obeyed.
func (a adminSocket) reload(ctx context.Context, r *running) error {
	before, err := a.status(ctx)
	if err != nil {
		return err
	}
	if err := r.signal(syscall.SIGHUP); err != nil {
		return err
	}
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for {
		now, err := a.status(ctx)
		switch {
		case err != nil:
			return err
		case now.ReloadError != "":
			return errors.New(now.ReloadError)
		case !now.ConfigLoaded.Equal(before.ConfigLoaded):
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pause.C:
		}
	}
}
