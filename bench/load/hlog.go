package load

import (
	"io"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// hlog writes histograms as a log of HdrHistogram: a line for each of the two of
// an interval, told apart by their tags. Values are microseconds; the largest, which
// a line repeats in the clear, is seconds there.
type hlog struct {
	w     *hdr.HistogramLogWriter
	began time.Time
}

func newHLog(w io.Writer, began time.Time) (*hlog, error) {
	l := &hlog{w: hdr.NewHistogramLogWriter(w), began: began}
	if err := l.w.OutputLogFormatVersion(); err != nil {
		return nil, err
	}
	if err := l.w.OutputStartTime(began.UnixMilli()); err != nil {
		return nil, err
	}
	l.w.SetBaseTime(began.UnixMilli())
	return l, l.w.OutputLegend()
}

func (l *hlog) add(i *Interval) error {
	end := l.began.Add(i.At).UnixMilli()
	i.Response.SetTag("response")
	i.Service.SetTag("service")
	for _, h := range []*hdr.Histogram{i.Response, i.Service} {
		h.SetStartTimeMs(end - i.Length.Milliseconds())
		h.SetEndTimeMs(end)
		if err := l.w.OutputIntervalHistogram(h); err != nil {
			return err
		}
	}
	return nil
}
