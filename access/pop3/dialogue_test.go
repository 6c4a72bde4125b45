package pop3_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/access/pop3"
	"postrider/internal/dialogue"
)

// The transcripts are the proof of most of what a client can say; each names its
// rows. This test plays them all.
//
// Covers HI7, HI9.
func TestDialogues(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) {
			h := newHouse("user",
				"Subject: one\r\n\r\nfirst\r\n.\r\n..two\r\nlast\r\n",
				"Subject: two\r\n\r\n",
				"Subject: three\r\nX: y\r\n\r\nbare\n.\ncr x\r\nno end")
			o := &pop3.Options{Exclusive: true}
			left := "uid1 uid2 uid3"
			switch name {
			case "stls", "injected":
				o.TLS = certificate
			case "musttls":
				o.TLS, o.RequireTLS = certificate, true
			case "delete":
				left = "uid2* uid3"
			case "retr":
				left = "uid1* uid2* uid3*"
			case "settings":
				o.LoginDelay, o.ExpireDays = 90*time.Second, 30
			}
			s, dial := start(t, o, h)
			dialogue.Run(t, path, dial())
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			s.Wait()
			if got := h.left("user"); got != left {
				t.Errorf("left is %q, want %q", got, left)
			}
		})
	}
}
