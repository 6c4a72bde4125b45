package sink

import (
	"context"
	"errors"
)

func (f *Farm) serveGoSMTP(context.Context, bind) error { return errors.New("not yet") }
