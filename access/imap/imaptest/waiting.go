package imaptest

import "time"

func (w *worker) noop() error {
	_, err := w.c.OK("NOOP")
	return err
}

func (w *worker) idle() error {
	if !w.can["IDLE"] {
		return nil
	}
	_, err := w.c.Idle(time.Duration(w.rng.IntN(30)) * time.Millisecond)
	return err
}
