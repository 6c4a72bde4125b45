package access

// fetched is what one FETCH response says of a message.
type fetched struct {
	seq       int
	uid       uint64 // 0: not said
	size      int64  // 0: not said
	flags     uint8
	hasFlags  bool
	subject   []byte // of ENVELOPE
	envelope  bool
	structure layout
	hasLayout bool
	text      examined // of BODY[]
	hasText   bool
}

func (f *fetched) reset(seq int) {
	line, subject := f.text.line, f.subject[:0]
	*f = fetched{seq: seq, subject: subject}
	f.text.line = line
}

// fetch reads what follows "* seq FETCH".
func (c *imap) fetch(seq int) error {
	f := &c.fetched
	f.reset(seq)
	if err := c.expect(tokenOpen); err != nil {
		return err
	}
	for {
		k, err := c.next()
		if err != nil {
			return err
		}
		if k.kind == tokenClose {
			break
		}
		if k.kind != tokenAtom {
			return malformed("a FETCH response has a value without a name")
		}
		if err := c.attribute(f, k); err != nil {
			return err
		}
	}
	if err := c.expect(tokenEnd); err != nil {
		return err
	}
	if seq == 0 || seq > c.exists {
		return malformed("FETCH of message %d of %d", seq, c.exists)
	}
	if c.onFetch == nil {
		return nil
	}
	return c.onFetch(f)
}

func (c *imap) expect(kind tokenKind) error {
	k, err := c.next()
	if err == nil && k.kind != kind {
		err = malformed("a response has something else than a parenthesis or its end")
	}
	return err
}

// attribute reads the value of name.
func (c *imap) attribute(f *fetched, name token) error {
	switch {
	case name.is("UID"):
		n, err := c.numeral()
		f.uid = uint64(n)
		return err
	case name.is("RFC822.SIZE"):
		n, err := c.numeral()
		f.size = n
		return err
	case name.is("FLAGS"):
		return c.flags(f)
	case name.is("ENVELOPE"):
		return c.envelope(f)
	case name.is("BODYSTRUCTURE"):
		f.hasLayout = true
		return c.structure(&f.structure, 0)
	case name.is("BODY[]"):
		return c.bodyText(f)
	}
	k, err := c.next()
	if err != nil {
		return err
	}
	return c.skip(k)
}

func (c *imap) numeral() (int64, error) {
	k, err := c.next()
	if err != nil {
		return 0, err
	}
	n, ok := k.number()
	if !ok || n > 1<<62 {
		return 0, malformed("%q is no number", shorten(k.text))
	}
	return int64(n), nil
}

func (c *imap) flags(f *fetched) error {
	f.hasFlags = true
	if err := c.expect(tokenOpen); err != nil {
		return err
	}
	for {
		k, err := c.next()
		if err != nil {
			return err
		}
		switch {
		case k.kind == tokenClose:
			return nil
		case k.kind != tokenAtom:
			return malformed("FLAGS holds something else than flags")
		case k.is(`\Seen`):
			f.flags |= flagSeen
		case k.is(`\Answered`):
			f.flags |= flagAnswered
		case k.is(`\Flagged`):
			f.flags |= flagFlagged
		case k.is(`\Deleted`):
			f.flags |= flagDeleted
		case k.is(`\Draft`):
			f.flags |= flagDraft
		}
	}
}

// envelope keeps the subject, which is the second of the ten fields.
func (c *imap) envelope(f *fetched) error {
	f.envelope = true
	if err := c.expect(tokenOpen); err != nil {
		return err
	}
	for i := 0; ; i++ {
		k, err := c.next()
		if err != nil {
			return err
		}
		if k.kind == tokenClose {
			if i != 10 {
				return malformed("ENVELOPE has %d fields, not 10", i)
			}
			return nil
		}
		if i == 1 {
			if k, err = c.short(k); err != nil {
				return err
			}
			if k.kind == tokenQuoted {
				f.subject = append(f.subject, k.text...)
				continue
			}
		}
		if err := c.skip(k); err != nil {
			return err
		}
	}
}

// structure adds up the leaves of a body structure.
func (c *imap) structure(l *layout, depth int) error {
	if depth == 0 {
		if err := c.expect(tokenOpen); err != nil {
			return err
		}
	}
	if depth > deepest {
		return malformed("BODYSTRUCTURE is deeper than %d", deepest)
	}
	multi, parts := false, true // whether it has parts; whether more of them may follow
	for i := 0; ; i++ {
		k, err := c.next()
		if err != nil {
			return err
		}
		switch {
		case k.kind == tokenClose:
			if !multi {
				if i < 7 {
					return malformed("a part of BODYSTRUCTURE has %d fields", i)
				}
				l.leaves++
			}
			return nil
		case k.kind == tokenOpen && parts && (i == 0 || multi): // a list where the type would stand
			multi = true
			if err := c.structure(l, depth+1); err != nil {
				return err
			}
		case !multi && i == 6:
			n, ok := k.number()
			if !ok || n > 1<<40 {
				return malformed("a part of BODYSTRUCTURE has %q octets", shorten(k.text))
			}
			l.octets += int64(n)
		default:
			parts = false
			if err := c.skip(k); err != nil {
				return err
			}
		}
	}
}

// bodyText hands the text of BODY[] to examined.
func (c *imap) bodyText(f *fetched) error {
	k, err := c.next()
	if err != nil {
		return err
	}
	f.hasText = true
	f.text.reset()
	switch {
	case k.kind == tokenLiteral && c.onText != nil:
		return c.take(k.size, c.onText)
	case k.kind == tokenLiteral:
		return c.take(k.size, f.text.add)
	case k.kind == tokenQuoted && c.onText != nil:
		c.onText(k.text)
		return nil
	case k.kind == tokenQuoted:
		f.text.add(k.text)
		return nil
	}
	return malformed("BODY[] is %q", shorten(k.text))
}
