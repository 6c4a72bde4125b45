package maildir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/delivery/transfer"
)

// errEscape reports a name that leads out of the export's folder, which no mailbox
// should have.
var errEscape = errors.New("no folder can have this name")

// Writer writes a Maildir++ that Dovecot reads with UIDs, flags, keywords and POP3
// ids as they are here. Where the folder holds an earlier export, what is new is
// added and flags are brought up to date; nothing is removed.
type Writer struct {
	root *os.Root
	path string
	o    WriteOptions

	// of the folder that is open
	dir        string // within root
	folder     transfer.Folder
	words      []string          // keywords that have a letter
	there      map[string]string // names in cur by their base
	list       []byte            // dovecot-uidlist
	next       uint32
	subscribed []string
	text       []byte
}

// WriteOptions say how a Maildir is written.
type WriteOptions struct {
	// CRLF writes files with CRLF lines; else they have LF, as most servers write
	// them.
	CRLF bool
	// NoSync leaves it to the system when what was written gets to the disk; else
	// Close waits for that.
	NoSync bool
}

// Create makes a Maildir, or opens one, for writing.
func Create(path string, o WriteOptions) (*Writer, error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	d, err := openRoot(path) // refuses links on the way
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err := errors.Join(err, d.Close()); err != nil {
		return nil, err
	}
	return &Writer{root: root, path: path, o: o}, nil
}

// Begin opens a folder.
func (w *Writer) Begin(_ context.Context, f *transfer.Folder) error {
	w.folder, w.dir, w.next = *f, ".", f.UIDNext
	if f.Name != "INBOX" {
		w.dir = encodeName(f.Name)
		if len(w.dir) > 255 || strings.ContainsAny(w.dir, "/\x00\n") || strings.Trim(w.dir, ".") == "" {
			return errEscape
		}
		if err := w.mkdir(w.dir); err != nil {
			return err
		}
		if err := w.replace(w.dir+"/maildirfolder", nil); err != nil {
			return err
		}
	}
	if f.Subscribed && f.Name != "INBOX" {
		w.subscribed = append(w.subscribed, w.dir[1:])
	}
	for _, sub := range [...]string{"cur", "new", "tmp"} {
		if err := w.mkdir(w.dir + "/" + sub); err != nil {
			return err
		}
	}
	w.words = f.Keywords[:min(len(f.Keywords), 26)]
	w.list = w.list[:0]
	return w.look()
}

// mkdir makes a folder, which must not be a link.
func (w *Writer) mkdir(name string) error {
	if err := w.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := w.root.Lstat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s/%s: %w", w.path, name, ErrKind)
	}
	return nil
}

// look learns which messages an earlier export has left.
func (w *Writer) look() error {
	d, err := w.root.Open(w.dir + "/cur")
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	w.there = make(map[string]string, len(names))
	for _, name := range names {
		w.there[baseOf(name)] = name
	}
	return errors.Join(err, d.Close())
}

// Put writes a message, unless it is there.
func (w *Writer) Put(_ context.Context, m *transfer.Message) error {
	text, err := w.read(m)
	if err != nil {
		return err
	}
	base := fmt.Sprintf("%d.U%dV%d.postrider,S=%d,W=%d", m.Received.Unix(), m.UID, w.folder.UIDValidity, len(text), m.SizeBytes)
	name := base + string(appendFlags(nil, m.Flags, m.Keywords, w.words))
	cur := w.dir + "/cur/"
	switch old, ok := w.there[base]; {
	case ok && old == name:
	case ok:
		err = w.root.Rename(cur+old, cur+name)
	default:
		tmp := w.dir + "/tmp/" + base
		if err = w.write(tmp, text); err == nil {
			if err = w.root.Chtimes(tmp, m.Received, m.Received); err == nil {
				err = w.root.Rename(tmp, cur+name)
			}
		}
	}
	if err != nil {
		return err
	}
	w.there[base] = name
	w.list = appendRecord(w.list, m.UID, m.UIDL, base)
	w.next = max(w.next, m.UID+1)
	return nil
}

// read returns the text of m as its file has it. It is valid until the next one.
func (w *Writer) read(m *transfer.Message) ([]byte, error) {
	r, err := m.Open()
	if err != nil {
		return nil, err
	}
	buf := bytes.NewBuffer(w.text[:0])
	if w.o.CRLF {
		_, err = io.Copy(buf, r)
	} else {
		lf := transfer.LFWriter{W: buf}
		_, err = io.Copy(&lf, r)
		err = errors.Join(err, lf.Close())
	}
	w.text = buf.Bytes()
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	return w.text, nil
}

// write makes a new file. What is there of an interrupted run is made anew.
func (w *Writer) write(name string, text []byte) error {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	f, err := w.root.OpenFile(name, flags, 0o600)
	if errors.Is(err, fs.ErrExist) {
		if err = w.root.Remove(name); err == nil {
			f, err = w.root.OpenFile(name, flags, 0o600)
		}
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// replace writes a small file in the place of another.
func (w *Writer) replace(name string, text []byte) error {
	if err := w.write(name+".new", text); err != nil {
		return err
	}
	return w.root.Rename(name+".new", name)
}

// End writes what stands beside the messages.
func (w *Writer) End(context.Context) error {
	list := append(appendUIDList(nil, max(w.folder.UIDValidity, 1), max(w.next, 1)), w.list...)
	if err := w.replace(w.dir+"/dovecot-uidlist", list); err != nil {
		return err
	}
	var words []byte
	for i, word := range w.words {
		words = fmt.Appendf(words, "%d %s\n", i, word)
	}
	if len(words) > 0 {
		if err := w.replace(w.dir+"/dovecot-keywords", words); err != nil {
			return err
		}
	}
	if len(w.subscribed) > 0 {
		return w.replace("subscriptions", []byte(strings.Join(w.subscribed, "\n")+"\n"))
	}
	return nil
}

// Close sees to it that all is on the disk, and closes the folder.
func (w *Writer) Close() error {
	err := error(nil)
	if !w.o.NoSync {
		err = w.sync()
	}
	return errors.Join(err, w.root.Close())
}

func (w *Writer) sync() error {
	d, err := w.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
}

var _ transfer.Sink = (*Writer)(nil)
