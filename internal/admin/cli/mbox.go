package cli

import (
	"fmt"
	"strings"
)

// Mailbox is a mailbox of an account.
type Mailbox struct {
	Account     string   `json:"account"`
	Name        string   `json:"name"`
	Messages    int      `json:"messages"`
	Unseen      int      `json:"unseen"`
	Bytes       int64    `json:"bytes"`
	UIDValidity uint32   `json:"uid_validity"`
	UIDNext     uint32   `json:"uid_next"`
	Subscribed  bool     `json:"subscribed"`
	Use         []string `json:"use,omitempty"`
	Keywords    []string `json:"keywords,omitempty"`
}

// Mailboxes writes one line for each mailbox; with detail also what only IMAP
// clients see.
func (p *Printer) Mailboxes(boxes []Mailbox, detail bool) error {
	if p.JSON {
		for i := range boxes {
			if err := p.json(&boxes[i]); err != nil {
				return err
			}
		}
		return nil
	}
	t := p.table()
	if detail {
		fmt.Fprintln(t, "MAILBOX\tMESSAGES\tUNSEEN\tBYTES\tUIDVALIDITY\tUIDNEXT\tUSE\tKEYWORDS") // errors: at Flush
	} else {
		fmt.Fprintln(t, "MAILBOX\tMESSAGES\tUNSEEN\tBYTES")
	}
	var messages, unseen int
	var bytes int64
	for i := range boxes {
		b := &boxes[i]
		messages, unseen, bytes = messages+b.Messages, unseen+b.Unseen, bytes+b.Bytes
		fmt.Fprintf(t, "%s\t%d\t%d\t%s", Harmless(b.Name), b.Messages, b.Unseen, Bytes(b.Bytes))
		if detail {
			fmt.Fprintf(t, "\t%d\t%d\t%s\t%s", b.UIDValidity, b.UIDNext, strings.Join(b.Use, " "), Harmless(strings.Join(b.Keywords, " ")))
		}
		fmt.Fprintln(t)
	}
	fmt.Fprintf(t, "total\t%d\t%d\t%s\n", messages, unseen, Bytes(bytes))
	return t.Flush()
}

// Account writes the name of an account.
func (p *Printer) Account(name string) error {
	if p.JSON {
		return p.json(struct {
			Account string `json:"account"`
		}{name})
	}
	_, err := fmt.Fprintln(p.W, Harmless(name))
	return err
}

// Moved is what an import or an export did.
type Moved struct {
	Folders  int   `json:"folders"`
	Messages int   `json:"messages"`
	Known    int   `json:"known"`
	Bytes    int64 `json:"bytes"`
	Failed   int   `json:"failed"`
	NewUIDs  int   `json:"new_uids"`
}

// ExitCode is the exit code for it.
func (m *Moved) ExitCode() int {
	switch {
	case m.Failed > 0 && m.Messages+m.Known == 0:
		return ExitFailed
	case m.Failed > 0:
		return ExitPartly
	}
	return ExitOK
}

// Moved writes m as the last line of an import or export; did is what was done.
func (p *Printer) Moved(did string, m *Moved) error {
	if p.JSON {
		return p.json(m)
	}
	text := fmt.Sprintf("%s %d messages (%s) in %d folders", did, m.Messages, Bytes(m.Bytes), m.Folders)
	if m.Known > 0 {
		text += fmt.Sprintf(", %d were there", m.Known)
	}
	if m.NewUIDs > 0 {
		text += fmt.Sprintf(", %d with a new UID", m.NewUIDs)
	}
	if m.Failed > 0 {
		text += fmt.Sprintf(", %d failed", m.Failed)
	}
	_, err := fmt.Fprintln(p.W, text)
	return err
}

// NotMoved writes what could not be moved.
func (p *Printer) NotMoved(name string, why error) error {
	if p.JSON {
		return p.json(struct {
			Failed string `json:"failed_item"`
			Error  string `json:"error"`
		}{name, why.Error()})
	}
	_, err := fmt.Fprintf(p.W, "failed: %s: %s\n", Harmless(name), Harmless(why.Error()))
	return err
}
