package transfer

import (
	"context"
	"errors"
	"fmt"
)

// flush files the batch.
func (i *Import) flush(ctx context.Context) error {
	if len(i.batch) == 0 {
		return nil
	}
	results, err := i.To.Append(ctx, i.Account, i.folder, i.batch)
	if err == nil && len(results) != len(i.batch) {
		err = fmt.Errorf("%d results for %d messages", len(results), len(i.batch))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	for k, r := range results {
		f := &i.batch[k]
		i.done.Done++
		switch {
		case r.Error != "":
			i.fail(f.Name, errors.New(r.Error))
		case r.Repeat:
			i.report.Known++
			i.done.Skipped++
		default:
			i.report.Messages++
			i.report.Bytes += int64(len(f.Text))
			i.done.Bytes += int64(len(f.Text))
			if f.UID != 0 && r.UID != f.UID {
				i.report.NewUIDs++
			}
		}
		if cap(f.Text) <= 1<<20 && len(i.free) < batchMessages {
			i.free = append(i.free, f.Text)
		}
	}
	clear(i.batch)
	i.batch, i.bytes = i.batch[:0], 0
	if i.Progress != nil {
		i.Progress(i.done)
	}
	return nil
}

func (i *Import) failMessage(m *Message, err error) {
	i.done.Done++
	i.fail(m.Name, err)
}

func (i *Import) fail(name string, err error) {
	i.report.Failed++
	if i.Failed != nil {
		i.Failed(name, err)
	}
}
