package imaptest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// action is something that a session does.
type action struct {
	name   string
	weight int
	do     func() error
}

func (w *worker) choose() action {
	all := []action{
		{"append", 14, w.append}, {"store", 16, w.store}, {"uid store", 12, w.uidStore},
		{"fetch", 8, w.look}, {"text", 8, w.text}, {"search", 6, w.search},
		{"expunge", 6, w.expunge}, {"noop", 10, w.noop}, {"idle", 5, w.idle},
		{"status", 3, w.status}, {"select", 3, w.selectBox}, {"again", 2, w.again},
	}
	if w.can["MOVE"] && len(w.o.Boxes) > 1 {
		all = append(all, action{"move", 4, func() error { return w.copy("MOVE") }}, action{"copy", 4, func() error { return w.copy("COPY") }})
	}
	if w.can["CONDSTORE"] {
		all = append(all, action{"conditional", 5, w.conditional}, action{"changes", 4, w.changes})
	}
	total := 0
	for _, a := range all {
		total += a.weight
	}
	n := w.rng.IntN(total)
	for _, a := range all {
		if n -= a.weight; n < 0 {
			return a
		}
	}
	return all[0]
}

// keyword is the flag that only this session writes.
func (w *worker) keyword() string { return fmt.Sprintf("$own%d", w.number) }

// again breaks off, or says good-bye, and comes back.
func (w *worker) again() error {
	w.leave()
	if w.rng.IntN(2) == 0 {
		_ = w.c.Close()
	} else if err := w.c.Logout(); err != nil {
		return err
	}
	return w.connect()
}

// append adds messages, in one command where the server can.
func (w *worker) append() error {
	box := w.box()
	parts := []any{"APPEND " + Quote(box)}
	var texts []string
	var kept []bool
	for {
		w.serial++
		text := fmt.Sprintf("From: s%d@example.org\r\nSubject: message %d of %d\r\n\r\n%s\r\n", w.number, w.serial, w.o.Seed,
			strings.Repeat("words and more of them\r\n", w.rng.IntN(40)))
		texts = append(texts, text)
		flags := ""
		if kept = append(kept, w.rng.IntN(2) == 0); kept[len(kept)-1] {
			flags = `(\Seen ` + w.keyword() + `) `
		}
		parts[len(parts)-1] = fmt.Sprint(parts[len(parts)-1], " ", flags)
		parts = append(parts, Literal(text), "")
		if !w.can["MULTIAPPEND"] || w.rng.IntN(3) > 0 || len(texts) > 4 {
			break
		}
	}
	res, err := w.c.OK(parts...)
	if err != nil {
		return err
	}
	if res.CodeName() != "APPENDUID" || len(res.Code) != 3 {
		return violation("APPEND without APPENDUID: %v", &res.Response)
	}
	set, err := ParseSet(res.Code[2].Text)
	if err != nil || set.Count() != uint64(len(texts)) {
		return violation("%v for %d messages", &res.Response, len(texts))
	}
	for i, uid := range set.Each() {
		var flags []string
		if kept[i] {
			flags = []string{w.keyword()}
		}
		if err := w.o.Ledger.Added(box, uid, texts[i], flags...); err != nil {
			return err
		}
	}
	return nil
}

// change is a random change of flags: of the session's own, which is promised to
// stay, or of those that all change.
func (w *worker) change(uids []uint32) (item, flag string, on bool, promised []*Promise) {
	on = w.rng.IntN(2) == 0
	item = map[bool]string{true: "+FLAGS", false: "-FLAGS"}[on]
	if w.rng.IntN(2) == 0 {
		return item, w.keyword(), on, w.o.Ledger.Flag(w.c.Selected.Name, uids, w.keyword(), on)
	}
	return item, []string{`\Seen`, `\Flagged`, `\Answered`, `\Draft`, "$Shared"}[w.rng.IntN(5)], on, nil
}

// store changes flags by message numbers: they must mean what they meant when the
// command was sent.
func (w *worker) store() error {
	uids := w.some(6)
	if len(uids) == 0 {
		return nil
	}
	var numbers []uint32
	for i, m := range w.c.Selected.Messages {
		if m.UID != 0 && slices.Contains(uids, m.UID) {
			numbers = append(numbers, uint32(i+1))
		}
	}
	item, flag, _, promised := w.change(uids)
	res, err := w.c.Do(fmt.Sprintf("STORE %s %s (%s)", FormatSet(numbers), item, flag))
	if err != nil {
		return err
	}
	return w.stored(res, promised)
}

// stored takes note of a promise. A server may refuse to change messages that are
// gone (RFC 2180 section 4.2); then nothing is promised.
func (w *worker) stored(res *Result, promised []*Promise) error {
	switch {
	case res.Name == "OK":
		w.o.Ledger.Given(promised)
	case res.Name == "NO" && (res.CodeName() == "EXPUNGEISSUED" || res.CodeName() == "" || res.CodeName() == "MODIFIED"):
	default:
		return fmt.Errorf("%v %s", &res.Response, res.Text)
	}
	return nil
}

func (w *worker) uidStore() error {
	uids := w.some(8)
	if len(uids) == 0 {
		return nil
	}
	item, flag, on, promised := w.change(uids)
	silent := w.rng.IntN(3) == 0
	if silent {
		item += ".SILENT"
	}
	res, err := w.c.Do(fmt.Sprintf("UID STORE %s %s (%s)", FormatSet(uids), item, flag))
	if err != nil {
		return err
	}
	if silent && res.Name == "OK" {
		w.silently(res, uids, flag, on)
	}
	return w.stored(res, promised)
}

// silently applies a change that the server does not tell of, to messages of which
// it told nothing meanwhile.
func (w *worker) silently(res *Result, uids []uint32, flag string, on bool) {
	told := make(map[string]bool)
	for _, r := range res.Untagged {
		if items := r.Items(); r.Name == "FETCH" && items["FLAGS"].Kind == List {
			told[items["UID"].Text] = true
		}
	}
	for _, uid := range uids {
		if m := w.c.Selected.Find(uid); m != nil && m.Known && !told[strconv.Itoa(int(uid))] {
			if on {
				m.Flags[strings.ToLower(flag)] = true
			} else {
				delete(m.Flags, strings.ToLower(flag))
			}
		}
	}
}

// text reads messages and compares them with what was appended.
func (w *worker) text() error {
	uids := w.some(3)
	if len(uids) == 0 {
		return nil
	}
	res, err := w.c.Do(fmt.Sprintf("UID FETCH %s (UID BODY.PEEK[])", FormatSet(uids)))
	if err != nil {
		return err
	}
	for _, r := range res.Untagged {
		items := r.Items()
		body, ok := items["BODY[]"]
		if r.Name != "FETCH" || !ok || body.Nil() || body.Text == "" { // gone meanwhile
			continue
		}
		uid, _ := strconv.ParseUint(items["UID"].Text, 10, 32)
		if text, known := w.o.Ledger.Text(w.c.Selected.Name, uint32(uid)); known && text != body.Text {
			return violation("UID %d is %.100q, was %.100q", uid, body.Text, text)
		}
	}
	return nil
}

// search finds the messages with the session's own keyword: nobody else changes it.
func (w *worker) search() error {
	res, err := w.c.OK("UID SEARCH KEYWORD " + w.keyword())
	if err != nil {
		return err
	}
	var found []uint32
	for _, r := range res.Untagged {
		for i, a := range r.Args {
			switch {
			case r.Name == "SEARCH":
				if n, err := strconv.ParseUint(a.Text, 10, 32); err == nil {
					found = append(found, uint32(n))
				}
			case r.Name == "ESEARCH" && a.Text == "ALL" && i+1 < len(r.Args):
				set, err := ParseSet(r.Args[i+1].Text)
				if err != nil {
					return violation("%v: %v", r, err)
				}
				found = append(found, set.Each()...)
			}
		}
	}
	for _, m := range w.c.Selected.Messages {
		if m.UID != 0 && m.Known && m.Flags[w.keyword()] != slices.Contains(found, m.UID) {
			return violation("UID %d has %v, UID SEARCH KEYWORD %s finds %v", m.UID, &m, w.keyword(), found)
		}
	}
	return nil
}
