package access

import (
	"context"
	"fmt"
)

// Harvest reads every text of every mailbox by Options.Protocol, over Conns
// connections, and deletes none. take is called from several goroutines; the text is
// valid during the call. It is how mail that something else has delivered is accounted
// for.
func (b *Bench) Harvest(ctx context.Context, take func(text []byte)) error {
	return b.each(ctx, b.o.Conns, func(ctx context.Context, boxes <-chan *mailbox) error {
		r := harvester{b: b, take: take}
		read := r.readIMAP
		if b.o.Protocol == pop3Name {
			read = r.readPOP3
		}
		for box := range boxes {
			if err := read(ctx, box.name); err != nil {
				return fmt.Errorf("mailbox %s: %w", box.name, err)
			}
		}
		return nil
	})
}

// harvester reads mailboxes, one after another.
type harvester struct {
	b    *Bench
	take func(text []byte)
	pop  pop3
	imap imap
	text []byte // room for one
}

func (r *harvester) readPOP3(ctx context.Context, name string) error {
	p := &r.pop
	defer p.shut()
	if err := p.begin(ctx, &r.b.o, r.b.tls, name); err != nil {
		return err
	}
	messages, _, err := p.stat()
	if err != nil {
		return err
	}
	for n := 1; n <= messages; n++ {
		if _, err := p.askAbout("RETR", n); err != nil {
			return err
		}
		r.text = r.text[:0]
		if err := p.lines(func(line []byte) error {
			r.text = append(append(r.text, line...), "\r\n"...)
			return nil
		}); err != nil {
			return err
		}
		r.take(r.text)
	}
	_, err = p.ask("QUIT")
	return err
}

func (r *harvester) readIMAP(ctx context.Context, name string) error {
	defer r.imap.shut()
	if err := r.enter(ctx, name); err != nil {
		return err
	}
	if err := r.fetch(1); err != nil {
		return err
	}
	return r.imap.ask("LOGOUT")
}

// enter logs in by IMAP and selects INBOX.
func (r *harvester) enter(ctx context.Context, name string) error {
	if err := r.imap.begin(ctx, &r.b.o, r.b.tls, name); err != nil {
		return err
	}
	return r.imap.selectInbox()
}

// fetch reads the texts from message number first on.
func (r *harvester) fetch(first int) error {
	c := &r.imap
	if first > c.exists {
		return nil
	}
	came, last := 0, c.exists
	c.onText = func(piece []byte) { r.text = append(r.text, piece...) }
	c.onFetch = func(f *fetched) error {
		if f.hasText {
			r.take(r.text)
			came++
		}
		r.text = r.text[:0]
		return nil
	}
	defer func() { c.onText, c.onFetch = nil, nil }()
	r.text = r.text[:0]
	c.command("FETCH ")
	c.appendUint(uint64(first))
	c.appendString(":")
	c.appendUint(uint64(last))
	c.appendString(" (BODY.PEEK[])")
	if err := c.finish(); err != nil {
		return err
	}
	if want := last - first + 1; came != want {
		return malformed("FETCH brought %d texts of %d", came, want)
	}
	return nil
}
