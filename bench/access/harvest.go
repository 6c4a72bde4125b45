package access

import (
	"context"
	"fmt"
)

// Harvest reads every text of every mailbox by POP3, over Conns connections, and
// deletes none. take is called from several goroutines; the text is valid during
// the call. It is how mail that something else has delivered is accounted for.
func (b *Bench) Harvest(ctx context.Context, take func(text []byte)) error {
	if b.o.POP3 == "" {
		return fmt.Errorf("%w: harvest needs pop3", ErrOptions)
	}
	return b.each(ctx, b.o.Conns, func(ctx context.Context, boxes <-chan *mailbox) error {
		var p pop3
		var text []byte
		for box := range boxes {
			var err error
			if text, err = b.empty(ctx, &p, box, text, take); err != nil {
				return fmt.Errorf("mailbox %s: %w", box.name, err)
			}
		}
		return nil
	})
}

// empty reads one mailbox; text is room for a message, and is returned grown.
func (b *Bench) empty(ctx context.Context, p *pop3, box *mailbox, text []byte, take func([]byte)) ([]byte, error) {
	defer p.shut()
	if err := p.begin(ctx, &b.o, b.tls, box.name); err != nil {
		return text, err
	}
	messages, _, err := p.stat()
	if err != nil {
		return text, err
	}
	for n := 1; n <= messages; n++ {
		if _, err := p.askAbout("RETR", n); err != nil {
			return text, err
		}
		text = text[:0]
		if err := p.lines(func(line []byte) error {
			text = append(append(text, line...), "\r\n"...)
			return nil
		}); err != nil {
			return text, err
		}
		take(text)
	}
	_, err = p.ask("QUIT")
	return text, err
}
