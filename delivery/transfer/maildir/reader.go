package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/delivery/transfer"
)

// Options say how a Maildir is read. The zero value is right for one of Dovecot.
type Options struct {
	// UIDL is Dovecot's pop3_uidl_format, for messages whose id is not kept in the
	// uidlist. Empty: its default, "%08Xu%08Xv".
	UIDL string
	// NoUIDL keeps no ids of POP3, but those that the uidlist gives.
	NoUIDL bool
}

// Reader is a Maildir as a source.
type Reader struct {
	root *dir
	o    Options
}

// Open opens a Maildir for reading.
func Open(path string, o Options) (*Reader, error) {
	if o.UIDL == "" {
		o.UIDL = "%08Xu%08Xv"
	}
	root, err := openRoot(path)
	if err != nil {
		return nil, err
	}
	cur, err := root.dir("cur")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &Reader{root: root, o: o}, cur.Close()
}

// Close closes the Maildir.
func (r *Reader) Close() error { return r.root.Close() }

// Origin is the same for all Maildirs: the names of files are unique (see the
// format), wherever the folder is moved to.
func (r *Reader) Origin() string { return "maildir" }

// Folders returns INBOX and the folders of Maildir++. What looks like one and
// cannot be read is Broken: nobody should miss a folder without being told.
func (r *Reader) Folders(context.Context) ([]transfer.Folder, error) {
	names, err := r.root.names()
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	subscribed, err := r.subscriptions()
	if err != nil {
		return nil, err
	}
	folders := []transfer.Folder{{Name: "INBOX", Subscribed: true}}
	taken := map[string]bool{"INBOX": true}
	for _, name := range names {
		if len(name) < 2 || name[0] != '.' || name == ".." {
			continue
		}
		mailbox, err := decodeName(name)
		switch {
		case err != nil:
			mailbox = strings.ToValidUTF8(name[1:], "\ufffd")
		case taken[mailbox]: // ".inbox", or a name in UTF-7 beside the same one in UTF-8
			mailbox, err = strings.ToValidUTF8(name, "\ufffd"), fmt.Errorf("%w: %s", ErrTwice, mailbox)
		}
		taken[mailbox] = true
		folders = append(folders, transfer.Folder{Name: mailbox, Use: transfer.UseOf(mailbox), Subscribed: subscribed[name], Broken: err})
	}
	kept := folders[:0]
	for i := range folders {
		if folders[i].Broken != nil {
			kept = append(kept, folders[i])
			continue
		}
		d, err := r.folder(&folders[i])
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) { // something else
			continue
		}
		if err != nil {
			folders[i].Messages, folders[i].Broken = -1, err
			kept = append(kept, folders[i])
			continue
		}
		err = describe(d, &folders[i])
		if err := errors.Join(err, d.Close()); err != nil {
			return nil, err
		}
		kept = append(kept, folders[i])
	}
	return kept, nil
}

// describe reads what is known of a folder as a whole.
func describe(d *dir, f *transfer.Folder) error {
	text, err := d.read("dovecot-uidlist")
	if err != nil {
		return err
	}
	list := parseUIDList(text)
	f.UIDValidity, f.UIDNext = list.validity, list.next
	b, err := d.boxes()
	if err != nil {
		return err
	}
	cur, err := b.cur.list()
	fresh, err2 := b.new.list()
	f.Messages = len(cur) + len(fresh)
	return errors.Join(err, err2, b.Close())
}

// folder opens the folder of a mailbox.
func (r *Reader) folder(f *transfer.Folder) (*dir, error) {
	if f.Name == "INBOX" {
		fd, err := openAt(int(r.root.f.Fd()), ".", 0)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: r.root.path, Err: err}
		}
		return &dir{f: os.NewFile(uintptr(fd), r.root.path), path: r.root.path, owner: r.root.owner}, nil
	}
	names, err := r.root.names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if len(name) < 2 || name[0] != '.' || name == ".." {
			continue
		}
		if mailbox, err := decodeName(name); err == nil && mailbox == f.Name {
			d, err := r.root.dir(name)
			if err != nil {
				return nil, err
			}
			cur, err := d.dir("cur")
			if err != nil {
				return nil, errors.Join(err, d.Close())
			}
			return d, cur.Close()
		}
	}
	return nil, errName
}
