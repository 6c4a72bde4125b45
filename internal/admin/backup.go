package admin

import (
	"context"
	"net/http"
	"net/url"
	"path/filepath"
)

// backup makes a backup in the folder that the request names. Only the socket serves
// it, whose owner could write there himself.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) {
	dir := r.URL.Query().Get("dir")
	if !filepath.IsAbs(dir) {
		fail(w, http.StatusBadRequest, "an absolute path is needed (dir=...)")
		return
	}
	if s.o.Backup == nil {
		fail(w, http.StatusNotFound, "nobody here can make one")
		return
	}
	if err := s.o.Backup(r.Context(), dir); err != nil {
		failWith(w, err)
		return
	}
	reply(w, http.StatusOK, struct{}{})
}

// Backup has a backup of everything made in a folder of the daemon's machine; dir is
// an absolute path. It takes as long as that takes.
func (c *Client) Backup(ctx context.Context, dir string) error {
	resp, err := c.do(ctx, http.MethodPost, "/api/v1/backup?"+url.Values{"dir": {dir}}.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close() // nothing of it is read
	if resp.StatusCode != http.StatusOK {
		return failure(resp)
	}
	return nil
}
