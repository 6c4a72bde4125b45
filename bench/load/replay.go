package load

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"
)

const (
	maxReplayLine = 64 << 10 // a longer line is passed over
	maxReplay     = 16 << 20 // messages of a log
)

var errEmptyLog = errors.New("no message in this log")

func readReplay(file string) ([]slot, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // was only read
	return parseReplay(f)
}

// entry is a message of a log.
type entry struct {
	at    time.Time
	whole bool // at has no fraction of a second
	slot
}

// parseReplay reads a log, each line of which may be of either kind; what is
// neither is passed over.
func parseReplay(r io.Reader) ([]slot, error) {
	in := bufio.NewReaderSize(r, maxReplayLine)
	var all []entry
	postfix := postfixLog{active: map[string]bool{}}
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
			line = nil
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			e, ok := entry{}, false
			if line[0] == '{' {
				e, ok = parseEvent(line)
			} else {
				e, ok = postfix.parse(line)
			}
			if ok {
				all = append(all, e)
			}
		}
		if len(all) > maxReplay {
			return nil, fmt.Errorf("more than %d messages", maxReplay)
		}
		if err == io.EOF {
			return ordered(all)
		}
		if err != nil {
			return nil, err
		}
	}
}

// ordered puts messages in order and makes their moments relative.
func ordered(all []entry) ([]slot, error) {
	if len(all) == 0 {
		return nil, errEmptyLog
	}
	slices.SortStableFunc(all, func(a, b entry) int { return a.at.Compare(b.at) })
	for i := 0; i < len(all); {
		n := 1
		for i+n < len(all) && all[i+n].at.Equal(all[i].at) {
			n++
		}
		for k := range n {
			if all[i+k].whole {
				all[i+k].at = all[i+k].at.Add(time.Second * time.Duration(k) / time.Duration(n))
			}
		}
		i += n
	}
	slices.SortStableFunc(all, func(a, b entry) int { return a.at.Compare(b.at) })
	slots := make([]slot, len(all))
	for i, e := range all {
		e.slot.at = e.at.Sub(all[0].at)
		slots[i] = e.slot
	}
	return slots, nil
}

// parseEvent reads a line of our event log; only "accepted" is a message.
func parseEvent(line []byte) (entry, bool) {
	var v struct {
		Ts         time.Time `json:"ts"`
		Event      string    `json:"ev"`
		Size       int64     `json:"size"`
		Recipients int64     `json:"nrcpt"`
		Replayed   bool      `json:"replayed"`
	}
	if !bytes.Contains(line, []byte(`"accepted"`)) || json.Unmarshal(line, &v) != nil {
		return entry{}, false
	}
	if v.Event != "accepted" || v.Replayed || v.Ts.IsZero() {
		return entry{}, false
	}
	return entry{at: v.Ts, slot: newSlot(v.Size, v.Recipients)}, true
}

func newSlot(bytes, recipients int64) slot {
	return slot{bytes: int32(min(max(bytes, 0), maxBytes)), recipients: int32(min(max(recipients, 0), maxRecipients))}
}

// postfixLog reads what Postfix's queue manager logs.
type postfixLog struct {
	active map[string]bool // queue IDs that were seen and not yet removed
	last   time.Month
	year   int
}

// parse takes
//
//	Nov 22 21:30:04 host postfix/qmgr[123]: 4X7Y: from=<a@b>, size=1234, nrcpt=2 (queue active)
//
// with that or an RFC 3339 time, the first time it comes for a queue ID.
func (p *postfixLog) parse(line []byte) (entry, bool) {
	at, whole, rest, ok := p.moment(line)
	_, rest, isQmgr := bytes.Cut(rest, []byte("/qmgr["))
	_, rest, isLine := bytes.Cut(rest, []byte("]: "))
	id, rest, hasID := bytes.Cut(rest, []byte(": "))
	if !ok || !isQmgr || !isLine || !hasID || len(id) == 0 || len(id) > 32 {
		return entry{}, false
	}
	if bytes.HasPrefix(rest, []byte("removed")) {
		delete(p.active, string(id))
		return entry{}, false
	}
	// The sender may be anything, so what follows it is read from the end.
	rest, isActive := bytes.CutSuffix(rest, []byte(" (queue active)"))
	i := bytes.LastIndex(rest, []byte(", size="))
	if !isActive || i < 0 || p.active[string(id)] {
		return entry{}, false
	}
	size, recipients, both := bytes.Cut(rest[i+len(", size="):], []byte(", nrcpt="))
	n, err := strconv.ParseInt(string(size), 10, 64)
	k, err2 := strconv.ParseInt(string(recipients), 10, 64)
	if !both || err != nil || err2 != nil {
		return entry{}, false
	}
	p.active[string(id)] = true
	return entry{at: at, whole: whole, slot: newSlot(n, k)}, true
}

// moment reads the time that opens a line. The traditional one has no year: it
// grows by one whenever the month falls from late in a year to early in one.
func (p *postfixLog) moment(line []byte) (at time.Time, whole bool, rest []byte, ok bool) {
	if first, rest, _ := bytes.Cut(line, []byte(" ")); len(first) >= len("2006-01-02T15:04:05Z") {
		at, err := time.Parse(time.RFC3339Nano, string(first))
		return at, at.Nanosecond() == 0, rest, err == nil
	}
	const layout = "Jan _2 15:04:05"
	if len(line) <= len(layout) {
		return at, false, nil, false
	}
	at, err := time.Parse(layout, string(line[:len(layout)]))
	if err != nil {
		return at, false, nil, false
	}
	if p.last >= time.October && at.Month() <= time.March {
		p.year++
	}
	p.last = at.Month()
	return at.AddDate(p.year, 0, 0), true, line[len(layout):], true
}
