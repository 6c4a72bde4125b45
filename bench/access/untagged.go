package access

// untagged reads what follows "* ".
func (c *imap) untagged() error {
	k, err := c.next()
	if err != nil {
		return err
	}
	if n, ok := k.number(); ok {
		return c.numbered(n)
	}
	switch {
	case k.is("OK"), k.is("PREAUTH"):
		text, err := c.rest()
		c.code(text)
		return err
	case k.is("BYE"):
		_, err := c.rest()
		return err // the connection ends after it, which shows at the next read
	case k.is("SEARCH"):
		return c.search()
	case k.is("STATUS"):
		return c.readStatus()
	case k.kind != tokenAtom:
		return malformed("an untagged response begins with no word")
	}
	_, err = c.rest() // CAPABILITY, FLAGS, LIST, NO, BAD: nothing of the model
	return err
}

// numbered reads what follows "* n ".
func (c *imap) numbered(n uint64) error {
	if n > 1<<31 {
		return malformed("message %d", n)
	}
	k, err := c.next()
	if err != nil {
		return err
	}
	switch {
	case k.is("FETCH"):
		return c.fetch(int(n))
	case k.is("EXISTS"):
		before := c.exists
		c.exists = int(n)
		if c.onExists != nil {
			c.onExists(c.exists, before)
		}
	case k.is("EXPUNGE"):
		if n == 0 || int(n) > c.exists {
			return malformed("message %d of %d is expunged", n, c.exists)
		}
		c.exists--
		if c.onGone != nil {
			if err := c.onGone(int(n)); err != nil {
				return err
			}
		}
	}
	_, err = c.rest()
	return err
}

func (c *imap) search() error {
	for {
		k, err := c.next()
		if err != nil || k.kind == tokenEnd {
			return err
		}
		n, ok := k.number()
		if !ok {
			return malformed("SEARCH found %q", shorten(k.text))
		}
		if c.onFound != nil {
			c.onFound(n)
		}
	}
}

func (c *imap) readStatus() error {
	k, err := c.next() // the name of the mailbox
	if err == nil {
		_, err = c.short(k)
	}
	if err != nil {
		return err
	}
	if k, err = c.next(); err != nil {
		return err
	}
	if k.kind != tokenOpen {
		return malformed("STATUS without a list")
	}
	c.status = mailboxStatus{said: true}
	for {
		k, err := c.next()
		if err != nil {
			return err
		}
		if k.kind == tokenClose {
			_, err := c.rest()
			return err
		}
		var into *uint64
		switch {
		case k.is("MESSAGES"):
			into = &c.status.messages
		case k.is("UNSEEN"):
			into = &c.status.unseen
		case k.is("UIDNEXT"):
			into = &c.status.uidNext
		case k.is("UIDVALIDITY"):
			into = &c.status.uidValidity
		}
		value, err := c.next()
		if err != nil {
			return err
		}
		n, ok := value.number()
		if !ok {
			return malformed("STATUS without a number")
		}
		if into != nil {
			*into = n
		}
	}
}
