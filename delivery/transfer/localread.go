package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"strconv"
	"strings"

	"postrider/delivery/mailbox"
)

// Messages gives the messages of a mailbox.
func (l Local) Messages(ctx context.Context, account string, f *Folder) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		m, err := l.open(account, f.Name)
		if err != nil {
			yield(nil, err)
			return
		}
		v, err := m.View()
		if err != nil {
			yield(nil, err)
			return
		}
		defer v.Close()
		keywords := m.Keywords(nil)
		for i := range v.Len() {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if !l.give(v, v.At(i).UID, keywords, yield) {
				return
			}
		}
	}
}

// give opens a message and yields it.
func (l Local) give(v *mailbox.View, uid uint32, keywords []string, yield func(*Message, error) bool) bool {
	var opened mailbox.Message
	out := &Message{UID: uid, Name: "UID " + strconv.FormatUint(uint64(uid), 10)}
	err := v.Message(uid, &opened)
	if errors.Is(err, mailbox.ErrNoMessage) { // expunged meanwhile
		return true
	}
	if err != nil {
		return yield(out, err)
	}
	defer opened.Release()
	uidl, err := v.AppendUIDL(nil, &opened.Meta)
	if err != nil {
		return yield(out, err)
	}
	out.UIDL, out.Flags, out.Received, out.SizeBytes = string(uidl), opened.Flags&mailbox.SystemFlags, opened.Received, opened.Size()
	for k, word := range keywords {
		if k < mailbox.WordKeywords && opened.Flags>>(mailbox.FirstKeyword+k)&1 != 0 ||
			k >= mailbox.WordKeywords && opened.More>>(k-mailbox.WordKeywords)&1 != 0 {
			out.Keywords = append(out.Keywords, word)
		}
	}
	out.Key = strings.TrimPrefix(out.Name, "UID ")
	out.Open = func() (io.ReadCloser, error) {
		var text bytes.Buffer // whole, so that it is known to be undamaged before anything is made of it
		if out.SizeBytes > MaxTextBytes {
			return nil, ErrTooLong
		}
		text.Grow(int(out.SizeBytes))
		if _, err := opened.WriteTo(&text); err != nil {
			return nil, err
		}
		return io.NopCloser(&text), nil
	}
	return yield(out, nil)
}

// Fsck looks whether the store is as it should be; see mailbox.Store.Fsck.
func (l Local) Fsck(ctx context.Context, texts bool, report func(mailbox.Finding)) (mailbox.Checked, error) {
	return l.Store.Fsck(ctx, texts, report)
}
