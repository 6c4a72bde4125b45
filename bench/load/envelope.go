package load

import "strconv"

// rcpt appends RCPT for one recipient.
func (w *worker) rcpt(f *flight, n int) {
	var b [320]byte
	o := &w.s.o
	t := append(b[:0], "RCPT TO:<"...)
	if o.Users > 0 {
		user := below(draw(o.Seed, f.order, drawUser), o.Users) + n
		t = strconv.AppendInt(append(t, 'u'), int64(user%o.Users), 10)
	} else {
		t = strconv.AppendUint(append(t, 'r'), f.seq, 10)
		t = strconv.AppendInt(append(t, '.'), int64(n), 10)
	}
	t = o.Domains.append(append(t, '@'), o.Domains.draw(o.Seed, f.order, n))
	w.c.Raw(append(t, ">\r\n"...))
}

// envelope appends MAIL and every RCPT.
func (w *worker) envelope(f *flight) {
	w.c.Raw(w.head)
	for n := range f.recipients {
		w.rcpt(f, n)
	}
}
