package transfer

import (
	"context"
	"errors"
	"slices"
)

// Export moves copies of an account's mail to a sink.
type Export struct {
	From    Store
	Account string
	To      Sink
	// Only restricts the export to mailboxes with these names; empty: all.
	Only []string
	// Progress is called now and then; nil: nobody is.
	Progress func(Progress)
	// Failed is told of what could not be moved, and goes on; nil: nobody is.
	Failed func(name string, err error)

	report Report
}

// Run exports until all is there or ctx ends. The error is of the store or the
// sink as a whole.
func (e *Export) Run(ctx context.Context) (Report, error) {
	folders, err := e.From.Folders(ctx, e.Account)
	if err != nil {
		return e.report, err
	}
	for k := range folders {
		f := &folders[k]
		if len(e.Only) > 0 && !slices.Contains(e.Only, f.Name) {
			continue
		}
		if err := e.one(ctx, f); err != nil {
			return e.report, err
		}
		e.report.Folders++
	}
	return e.report, ctx.Err()
}

func (e *Export) one(ctx context.Context, f *Folder) error {
	if err := e.To.Begin(ctx, f); err != nil {
		e.fail(f.Name, err)
		return nil
	}
	done := Progress{Folder: f.Name, Of: f.Messages}
	var failure error
	for m, err := range e.From.Messages(ctx, e.Account, f) {
		if m == nil {
			failure = err
			break
		}
		if err == nil {
			err = e.To.Put(ctx, m)
		}
		done.Done++
		if err != nil {
			e.fail(f.Name+"/"+m.Name, err)
			if ctx.Err() != nil {
				failure = ctx.Err()
				break
			}
			continue
		}
		e.report.Messages++
		e.report.Bytes += m.SizeBytes
		done.Bytes += m.SizeBytes
		if e.Progress != nil && done.Done%batchMessages == 0 {
			e.Progress(done)
		}
	}
	if e.Progress != nil {
		e.Progress(done)
	}
	return errors.Join(failure, e.To.End(ctx))
}

func (e *Export) fail(name string, err error) {
	e.report.Failed++
	if e.Failed != nil {
		e.Failed(name, err)
	}
}
