package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"postrider/internal/spool"
	"postrider/queue/internal/cold"
)

// doubtName is the file that outlives a restart while the clock is not believed.
// Without it the wrong time, which the next start finds on record, would pass for
// the right one.
const (
	doubtName    = "clock-doubt"
	doubtVersion = "1"
)

// Doubt says that the wall clock is not believed.
type Doubt struct {
	Since    time.Time // messages that arrived before it do not expire
	Believed time.Time // the last time that was believed
}

// SetDoubt records that the wall clock is not believed. It survives a restart, until
// NoDoubt.
func (q *Queue) SetDoubt(d Doubt) error {
	text := fmt.Sprintln(doubtVersion, d.Since.UnixMicro(), d.Believed.UnixMicro())
	if err := spool.ReplaceFile(q.fs, q.o.Dir, doubtName, []byte(text)); err != nil {
		return fmt.Errorf("record doubt of the clock: %w", err)
	}
	return nil
}

// NoDoubt takes back what Doubt recorded.
func (q *Queue) NoDoubt() error {
	err := q.fs.Remove(q.fs.PathJoin(q.o.Dir, doubtName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = cold.SyncDir(q.fs, q.o.Dir)
	}
	if err != nil {
		return fmt.Errorf("take back doubt of the clock: %w", err)
	}
	return nil
}

// Doubted returns what SetDoubt has recorded; nil when there is no doubt.
func (q *Queue) Doubted() (*Doubt, error) {
	b, err := spool.ReadFile(q.fs, q.o.Dir, doubtName)
	if err != nil || b == nil {
		return nil, err
	}
	words := strings.Fields(string(b))
	if len(words) > 0 && words[0] != doubtVersion {
		return nil, fmt.Errorf("%w: %s", ErrVersion, doubtName)
	}
	if len(words) != 3 {
		return nil, fmt.Errorf("%w: %s", ErrDamaged, doubtName)
	}
	since, err := strconv.ParseInt(words[1], 10, 64)
	believed, err2 := strconv.ParseInt(words[2], 10, 64)
	if err := errors.Join(err, err2); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, doubtName, err)
	}
	return &Doubt{Since: time.UnixMicro(since), Believed: time.UnixMicro(believed)}, nil
}
