package maildir

import (
	"cmp"
	"context"
	"io"
	"iter"
	"slices"
	"strconv"
	"time"

	"postrider/delivery/transfer"
)

// file is a message's file.
type file struct {
	in     *dir // cur or new
	name   string
	record record
}

// Messages gives the messages of a folder, those in the uidlist first.
func (r *Reader) Messages(ctx context.Context, f *transfer.Folder, want func([]*transfer.Message) ([]bool, error)) iter.Seq2[*transfer.Message, error] {
	return func(yield func(*transfer.Message, error) bool) {
		d, err := r.folder(f)
		if err != nil {
			yield(nil, err)
			return
		}
		defer d.Close() // only read
		if err := r.messages(ctx, d, want, yield); err != nil {
			yield(nil, err)
		}
	}
}

// group is how many messages are asked for at once.
const group = 1000

func (r *Reader) messages(ctx context.Context, d *dir, want func([]*transfer.Message) ([]bool, error), yield func(*transfer.Message, error) bool) error {
	b, err := d.boxes()
	if err != nil {
		return err
	}
	defer b.Close() // only read
	list, words, files, err := survey(d, b)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(files, group) {
		messages := make([]*transfer.Message, len(part))
		for i := range part {
			messages[i] = r.message(&part[i], &list, &words)
		}
		wanted, err := want(messages)
		if err != nil {
			return err
		}
		for i, m := range messages {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !wanted[i] {
				continue
			}
			text, stat, err := b.find(&part[i])
			if err == nil {
				m.SizeBytes = stat.Size
				m.Received = time.Unix(stat.Mtim.Unix())
				m.Open = func() (io.ReadCloser, error) { return text, nil }
			}
			more := yield(m, err)
			if text != nil {
				_ = text.Close() // only read; closed already when it was taken
			}
			if !more {
				return nil
			}
		}
	}
	return nil
}

// survey reads a folder's lists and the names of its files.
func survey(d *dir, b boxes) (list uidList, words [26]string, files []file, err error) {
	text, err := d.read("dovecot-uidlist")
	if err != nil {
		return list, words, nil, err
	}
	list = parseUIDList(text)
	if text, err = d.read("dovecot-keywords"); err != nil {
		return list, words, nil, err
	}
	words = parseKeywords(text)
	for _, in := range [...]*dir{b.cur, b.new} {
		names, err := in.list()
		if err != nil {
			return list, words, nil, err
		}
		for _, name := range names {
			files = append(files, file{in: in, name: name, record: list.records[baseOf(name)]})
		}
	}
	slices.SortFunc(files, func(a, b file) int {
		return cmp.Or(
			cmp.Compare(a.record.uid-1, b.record.uid-1), // those without come last
			cmp.Compare(arrival(a.name), arrival(b.name)),
			cmp.Compare(a.name, b.name))
	})
	return list, words, files, nil
}

// arrival is the time that a file's name begins with.
func arrival(name string) int64 {
	n := 0
	for n < len(name) && name[n] >= '0' && name[n] <= '9' {
		n++
	}
	sec, _ := strconv.ParseInt(name[:n], 10, 64) // 0 when there is none
	return sec
}

// message makes what is known of a message by its name.
func (r *Reader) message(f *file, list *uidList, words *[26]string) *transfer.Message {
	base := baseOf(f.name)
	m := &transfer.Message{Key: base, Name: f.in.path + "/" + f.name, UID: f.record.uid, UIDL: f.record.uidl, SizeBytes: -1}
	if m.UIDL == "" && m.UID != 0 && !r.o.NoUIDL {
		m.UIDL = formatUIDL(r.o.UIDL, m.UID, list.validity, base, f.record.guid)
	}
	m.Flags, m.Keywords = parseFlags(f.name, words)
	return m
}
