package pull

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"postrider/delivery/mailbox"
	"postrider/delivery/transfer"
)

// Messages gives the messages of a mailbox in the order of their UIDs.
func (i *IMAP) Messages(ctx context.Context, f *transfer.Folder, want func([]*transfer.Message) ([]bool, error)) iter.Seq2[*transfer.Message, error] {
	return func(yield func(*transfer.Message, error) bool) {
		if err := i.messages(ctx, f, want, yield); err != nil {
			yield(nil, err)
		}
	}
}

// group is how many messages are asked for at once.
const group = 500

func (i *IMAP) messages(ctx context.Context, f *transfer.Folder, want func([]*transfer.Message) ([]bool, error), yield func(*transfer.Message, error) bool) error {
	if err := i.examine(f); err != nil {
		return err
	}
	all, err := i.list(f)
	if err != nil {
		return err
	}
	for len(all) > 0 {
		part := all[:min(group, len(all))]
		all = all[len(part):]
		wanted, err := want(part)
		if err != nil {
			return err
		}
		rest := make(map[imap.UID]*transfer.Message)
		for k, m := range part {
			if wanted[k] {
				rest[imap.UID(m.UID)] = m
			}
		}
		more, err := i.fetchAll(ctx, f, part, rest, yield)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// fetchAll fetches the texts of rest, which are of part, over more than one
// connection if it must be. It returns false when yield did.
func (i *IMAP) fetchAll(ctx context.Context, f *transfer.Folder, part []*transfer.Message, rest map[imap.UID]*transfer.Message, yield func(*transfer.Message, error) bool) (bool, error) {
	for len(rest) > 0 {
		before := len(rest)
		more, err := i.fetch(part, rest, yield)
		if err == nil && more { // what the server did not send is gone
			return true, nil
		}
		if !more || ctx.Err() != nil {
			return more, ctx.Err()
		}
		if len(rest) == before { // no progress
			return true, err
		}
		_ = i.Close() // broken as it is
		if err := i.connect(ctx); err != nil {
			return true, err
		}
		if err := i.examine(f); err != nil {
			return true, err
		}
	}
	return true, nil
}

// examine opens a mailbox for reading, and sees that it is the one that was listed.
func (i *IMAP) examine(f *transfer.Folder) error {
	name, ok := i.names[f.Name]
	if !ok {
		name = f.Name
	}
	data, err := i.client.Select(name, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		return err
	}
	if f.UIDValidity != 0 && data.UIDValidity != f.UIDValidity {
		return errors.New("the mailbox was made anew meanwhile")
	}
	return nil
}

// list asks what there is.
func (i *IMAP) list(f *transfer.Folder) ([]*transfer.Message, error) {
	var all imap.UIDSet
	all.AddRange(1, 0)
	listed, err := i.client.Fetch(all, &imap.FetchOptions{UID: true, Flags: true, InternalDate: true, RFC822Size: true}).Collect()
	if err != nil {
		return nil, err
	}
	messages := make([]*transfer.Message, 0, len(listed))
	last := imap.UID(0)
	for _, data := range listed {
		if data.UID <= last { // told twice, or out of order: not to be trusted
			continue
		}
		last = data.UID
		m := &transfer.Message{
			Key: fmt.Sprintf("%d %d", f.UIDValidity, data.UID), Name: f.Name + " UID " + strconv.FormatUint(uint64(data.UID), 10),
			UID: uint32(data.UID), Received: data.InternalDate, SizeBytes: data.RFC822Size,
		}
		m.Flags, m.Keywords = flagsOf(data.Flags)
		messages = append(messages, m)
	}
	return messages, nil
}

func flagsOf(list []imap.Flag) (flags mailbox.Flags, keywords []string) {
	for _, flag := range list {
		switch imap.Flag(strings.ToLower(string(flag))) {
		case `\answered`:
			flags |= mailbox.FlagAnswered
		case `\flagged`:
			flags |= mailbox.FlagFlagged
		case `\deleted`:
			flags |= mailbox.FlagDeleted
		case `\seen`:
			flags |= mailbox.FlagSeen
		case `\draft`:
			flags |= mailbox.FlagDraft
		default:
			if flag != "" && flag[0] != '\\' {
				keywords = append(keywords, string(flag))
			}
		}
	}
	return flags, keywords
}

// fetch fetches the texts of rest in one command. What was given is taken out of
// rest.
func (i *IMAP) fetch(part []*transfer.Message, rest map[imap.UID]*transfer.Message, yield func(*transfer.Message, error) bool) (more bool, err error) {
	var uids imap.UIDSet
	for _, m := range part {
		if m := rest[imap.UID(m.UID)]; m != nil && m.SizeBytes > transfer.MaxTextBytes {
			delete(rest, imap.UID(m.UID))
			if !yield(m, transfer.ErrTooLong) {
				return false, nil
			}
		} else if m != nil {
			uids.AddNum(imap.UID(m.UID))
		}
	}
	if len(uids) == 0 {
		return true, nil
	}
	command := i.client.Fetch(uids, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}})
	for {
		data := command.Next()
		if data == nil {
			return true, command.Close()
		}
		uid, text, err := readBody(data)
		if err != nil && !errors.Is(err, transfer.ErrTooLong) {
			return true, err // the command is not to be touched: its reader has gone on
		}
		m := rest[uid]
		if m == nil {
			continue
		}
		delete(rest, uid)
		m.SizeBytes = int64(len(text))
		m.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
		if !yield(m, err) {
			return false, command.Close()
		}
	}
}

// readBody reads what the server sends of a message.
func readBody(data *imapclient.FetchMessageData) (uid imap.UID, text []byte, err error) {
	var long error
	for {
		switch item := data.Next().(type) {
		case nil:
			return uid, text, long
		case imapclient.FetchItemDataUID:
			uid = item.UID
		case imapclient.FetchItemDataBodySection:
			if item.Literal == nil {
				continue
			}
			text, err = io.ReadAll(io.LimitReader(item.Literal, transfer.MaxTextBytes+1))
			if err == nil && len(text) > transfer.MaxTextBytes { // its end was not read, and only then may more be
				if _, err = io.Copy(io.Discard, item.Literal); err == nil {
					text, long = nil, transfer.ErrTooLong
				}
			}
			if err == nil && long == nil && int64(len(text)) != item.Literal.Size() { // the connection ended in it
				err = io.ErrUnexpectedEOF
			}
			if err != nil {
				return uid, nil, err
			}
		}
	}
}
