package app

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"postrider/relay/schedule"
)

// learnedFile holds what was learned of sites, as JSON. It is a help, not a promise:
// without it sites are tried out anew.
const learnedFile = "learned.json"

// saveLearned is how often it is written.
const saveLearned = time.Hour

// mostLearned bounds the file that is read.
const mostLearned = 64 << 20

func (a *App) learnedPath() string { return filepath.Join(a.cfg.DataDir, learnedFile) }

// loadLearned reads what the last run has learned.
func (a *App) loadLearned() []schedule.Learned {
	info, err := os.Stat(a.learnedPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var text []byte
	if err == nil && info.Size() <= mostLearned {
		text, err = os.ReadFile(a.learnedPath())
	}
	var list []schedule.Learned
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		a.diag.Warn("what was learned of sites is lost; they are tried out anew", zap.Error(err))
		return nil
	}
	return list
}

// keepLearned writes it to path now and then until ctx ends.
func (a *App) keepLearned(ctx context.Context, path string) {
	tick := time.NewTicker(saveLearned)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			a.writeLearned(path)
			return
		case <-tick.C:
			a.writeLearned(path)
		}
	}
}

// writeLearned replaces the file; a half-written one is never seen.
func (a *App) writeLearned(path string) {
	text, err := json.Marshal(a.engine.Learned())
	if err == nil {
		err = os.WriteFile(path+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		a.diag.Warn("what was learned of sites could not be kept", zap.Error(err))
	}
}
