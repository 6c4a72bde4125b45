package record

import (
	"encoding/binary"
	"math"
)

// A Run is a range of UIDs that get the same flags, or that are expunged; those in
// it that are not there are not meant.
type Run struct {
	From, To uint32 // both included
	Flags    uint32
	More     uint64
}

// RunsWriter appends a part of runs to Buf, in rising order and without overlaps.
type RunsWriter struct {
	Buf  []byte
	last uint32
	kind PartKind
}

// BeginFlags begins a part that sets flags.
func (w *RunsWriter) BeginFlags(dst []byte, b Box, modSeq uint64) {
	w.begin(dst, KindFlags, b, modSeq)
}

// BeginExpunge begins a part that expunges.
func (w *RunsWriter) BeginExpunge(dst []byte, b Box, modSeq uint64) {
	w.begin(dst, KindExpunge, b, modSeq)
}

func (w *RunsWriter) begin(dst []byte, k PartKind, b Box, modSeq uint64) {
	w.Buf = binary.AppendUvarint(appendBox(dst, k, b), modSeq)
	w.last, w.kind = 0, k
}

// Add appends a run, whose From is above the last one's To.
func (w *RunsWriter) Add(r Run) {
	w.Buf = binary.AppendUvarint(w.Buf, uint64(r.From-w.last)) // never 0: that is the end
	w.Buf = binary.AppendUvarint(w.Buf, uint64(r.To-r.From))
	if w.kind == KindFlags {
		w.Buf = binary.AppendUvarint(w.Buf, uint64(r.Flags))
		w.Buf = binary.AppendUvarint(w.Buf, r.More)
	}
	w.last = r.To
}

// End ends the part and returns the buffer.
func (w *RunsWriter) End() []byte {
	w.Buf = append(w.Buf, 0)
	return w.Buf
}

// Runs are those of a part that was read.
type Runs struct {
	c    cursor
	kind PartKind
	last uint32
}

// Next reads the next run; false at the end.
func (r *Runs) Next(run *Run) bool {
	gap := r.c.bounded(math.MaxUint32)
	if gap == 0 || r.c.bad {
		return false
	}
	from := uint64(r.last) + gap
	to := from + r.c.bounded(math.MaxUint32)
	*run = Run{}
	if r.kind == KindFlags {
		run.Flags, run.More = r.c.uint32v(), r.c.uvarint()
	}
	if to > math.MaxUint32 || r.c.bad {
		r.c.fail()
		return false
	}
	run.From, run.To, r.last = uint32(from), uint32(to), uint32(to)
	return true
}
