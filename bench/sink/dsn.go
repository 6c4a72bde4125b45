package sink

import (
	"bytes"

	"postrider/bench/ledger"
)

// Bounds of what is read of a report: a line, and the recipients of it.
const (
	maxReportLine = 1 << 10
	maxReports    = 1 << 12
)

// report is what a DSN says of one recipient (RFC 3464 section 2.3).
type report struct {
	seq    uint64
	n      int
	known  bool // the address names a duty
	action action
}

// action is what happened, as a DSN states it.
type action uint8

const (
	noAction action = iota
	failed
	delayed
	otherAction // delivered, relayed, expanded
)

// dsnParser reads a DSN as it comes, in pieces of any size. It looks for the part
// message/delivery-status and for the X-Bench header of the message that is given
// back with it, and keeps nothing else.
type dsnParser struct {
	line    []byte // the beginning of a line
	field   []byte // the field that may go on in the next line
	where   dsnPart
	current report // of the group of fields
	fields  bool   // the group has any
	final   bool   // current's address is that of Final-Recipient, the second choice
	reports []report
	run     uint64 // of the message given back
	hasRun  bool
}

type dsnPart uint8

const (
	outside dsnPart = iota
	heading         // the header of the part
	status          // its body
)

func (d *dsnParser) reset() {
	*d = dsnParser{line: d.line[:0], field: d.field[:0], reports: d.reports[:0]}
}

// add reads a piece.
func (d *dsnParser) add(p []byte) {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			d.keep(p)
			return
		}
		d.keep(p[:i])
		d.take(bytes.TrimSuffix(d.line, []byte{'\r'}))
		d.line = d.line[:0]
		p = p[i+1:]
	}
}

func (d *dsnParser) keep(p []byte) {
	d.line = append(d.line, p[:min(len(p), maxReportLine-len(d.line))]...)
}

// finish ends the text and returns what it says.
func (d *dsnParser) finish() []report {
	if len(d.line) > 0 {
		d.take(bytes.TrimSuffix(d.line, []byte{'\r'}))
	}
	d.endGroup()
	return d.reports
}

// take reads a line.
func (d *dsnParser) take(line []byte) {
	if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') && len(d.field) > 0 {
		d.field = append(d.field, line[:min(len(line), max(0, maxReportLine-len(d.field)))]...)
		return
	}
	d.endField()
	switch {
	case len(line) == 0 && d.where == heading:
		d.where = status
	case len(line) == 0:
		d.endGroup()
	case bytes.HasPrefix(line, []byte("--")): // a boundary
		d.endGroup()
		d.where = outside
	default:
		d.field = append(d.field, line...)
	}
}

// endField reads a field that is complete.
func (d *dsnParser) endField() {
	field := d.field
	d.field = d.field[:0]
	name, value, ok := bytes.Cut(field, []byte{':'})
	if !ok {
		return
	}
	value = bytes.TrimSpace(value)
	is := func(want string) bool { return bytes.EqualFold(bytes.TrimSpace(name), []byte(want)) }
	if d.where != status {
		switch {
		case is("Content-Type") && hasPrefixFold(value, "message/delivery-status"),
			is("Content-Type") && hasPrefixFold(value, "message/global-delivery-status"):
			d.where = heading
		case is("X-Bench") && !d.hasRun:
			if h, ok := ledger.ParseHeader(value); ok {
				d.run, d.hasRun = h.Run, true
			}
		}
		return
	}
	switch {
	case is("Original-Recipient"):
		d.address(value, false)
	case is("Final-Recipient"):
		d.address(value, true)
	case is("Action"):
		d.fields = true
		d.current.action = otherAction
		if hasPrefixFold(value, "failed") {
			d.current.action = failed
		} else if hasPrefixFold(value, "delayed") {
			d.current.action = delayed
		}
	}
}

// address takes "rfc822; r1.0@x". The original one names the duty even where an
// alias has changed the final one.
func (d *dsnParser) address(value []byte, final bool) {
	d.fields = true
	if d.current.known && (final || !d.final) {
		return
	}
	_, a, typed := bytes.Cut(value, []byte{';'})
	if !typed {
		a = value
	}
	a = bytes.TrimSuffix(bytes.TrimPrefix(bytes.TrimSpace(a), []byte{'<'}), []byte{'>'})
	if seq, n, ok := ledger.ParseRecipient(a); ok {
		d.current.seq, d.current.n, d.current.known, d.final = seq, n, true, final
	}
}

// endGroup ends the fields of a recipient.
func (d *dsnParser) endGroup() {
	d.endField()
	if d.where == status && d.fields && d.current.action != noAction && len(d.reports) < maxReports {
		d.reports = append(d.reports, d.current)
	}
	d.current, d.fields, d.final = report{}, false, false
}

func hasPrefixFold(p []byte, prefix string) bool {
	return len(p) >= len(prefix) && bytes.EqualFold(p[:len(prefix)], []byte(prefix))
}
