package cli

import (
	"fmt"
	"strings"
)

// Finding is something in the mailboxes that is not as it should be.
type Finding struct {
	Account string `json:"account,omitempty"`
	Mailbox string `json:"mailbox,omitempty"`
	UID     uint32 `json:"uid,omitempty"`
	Blob    uint64 `json:"blob,omitempty"`
	What    string `json:"finding"`
}

// Finding writes f.
func (p *Printer) Finding(f *Finding) error {
	if p.JSON {
		return p.json(f)
	}
	var where []string
	if f.Account != "" {
		where = append(where, Harmless(f.Account))
	}
	if f.Mailbox != "" {
		where = append(where, Harmless(f.Mailbox))
	}
	if f.UID != 0 {
		where = append(where, fmt.Sprint("UID ", f.UID))
	}
	if f.Blob != 0 {
		where = append(where, fmt.Sprintf("text %016x", f.Blob))
	}
	if len(where) == 0 {
		where = append(where, "store")
	}
	_, err := fmt.Fprintf(p.W, "%s: %s\n", strings.Join(where, " "), Harmless(f.What))
	return err
}

// Checked is what a check has looked at.
type Checked struct {
	Accounts  int   `json:"accounts"`
	Mailboxes int   `json:"mailboxes"`
	Messages  int64 `json:"messages"`
	Texts     int64 `json:"texts"`
	TextBytes int64 `json:"text_bytes"`
	Findings  int   `json:"findings"`
}

// Checked writes c as the last line of a check.
func (p *Printer) Checked(c *Checked) error {
	if p.JSON {
		return p.json(c)
	}
	read := ""
	if c.TextBytes > 0 {
		read = ", " + Bytes(c.TextBytes) + " read"
	}
	found := "nothing found"
	if c.Findings > 0 {
		found = fmt.Sprintf("%d findings", c.Findings)
	}
	_, err := fmt.Fprintf(p.W, "%d accounts, %d mailboxes, %d messages, %d texts%s: %s\n", c.Accounts, c.Mailboxes, c.Messages, c.Texts, read, found)
	return err
}

// Rebuilt is what an index was made anew from.
type Rebuilt struct {
	Records  int   `json:"records"`
	Accounts int   `json:"accounts"`
	Messages int64 `json:"messages"`
	Gaps     int   `json:"gaps"`
	Lost     int   `json:"lost"`
	Complete bool  `json:"complete"`
}

// Rebuilt writes r.
func (p *Printer) Rebuilt(r *Rebuilt) error {
	if p.JSON {
		return p.json(r)
	}
	text := fmt.Sprintf("rebuilt from %d records: %d accounts, %d messages", r.Records, r.Accounts, r.Messages)
	if !r.Complete {
		text += fmt.Sprintf("; %d gaps in the log, %d messages lost: the mailboxes get another UIDVALIDITY", r.Gaps, r.Lost)
	}
	_, err := fmt.Fprintln(p.W, text)
	return err
}
