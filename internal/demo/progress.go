package demo

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows how far the demonstration is: a bar on a terminal, a line a
// second elsewhere.
type progress struct {
	out   io.Writer
	total int64
	bar   *progressbar.ProgressBar
	last  time.Time
	began time.Time
}

func newProgress(o Options) *progress {
	p := &progress{out: o.Out, total: o.Messages, began: time.Now(), last: time.Now()}
	if o.Terminal {
		p.bar = progressbar.NewOptions64(o.Messages,
			progressbar.OptionSetWriter(o.Out), progressbar.OptionSetWidth(40), progressbar.OptionShowCount(),
			progressbar.OptionShowIts(), progressbar.OptionSetItsString("msg"), progressbar.OptionThrottle(50*time.Millisecond))
	}
	return p
}

func (p *progress) show(accepted, ended, queued int64) {
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("accepted %d, queued %d, delivered", accepted, queued))
		_ = p.bar.Set64(min(ended, p.total)) // a bar that can't be drawn harms nothing
		return
	}
	if now := time.Now(); now.Sub(p.last) >= time.Second {
		p.last = now
		fmt.Fprintf(p.out, "%4.0fs  accepted %d  delivered %d  queued %d\n", now.Sub(p.began).Seconds(), accepted, ended, queued)
	}
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Exit() // likewise
		fmt.Fprintln(p.out)
	}
}
