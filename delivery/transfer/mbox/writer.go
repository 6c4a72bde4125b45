package mbox

import (
	"bufio"
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

// noFollow refuses links, and does not wait for pipes.
const noFollow = unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC

// errName reports a mailbox whose name no file can have.
var errName = errors.New("no file can have the name of this mailbox")

// Writer writes one file NAME.mbox for each mailbox into a folder, levels below
// others as folders. A file that is there is replaced when the mailbox is whole.
type Writer struct {
	root *os.Root
	crlf bool

	path string // of the file, within root
	f    *os.File
	out  *bufio.Writer
	err  error // of writing: the file is then not whole
}

// Create makes the folder, or opens it. With crlf lines end with CRLF, else LF.
func Create(path string, crlf bool) (*Writer, error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Writer{root: root, crlf: crlf}, nil
}

// Begin starts a file.
func (w *Writer) Begin(_ context.Context, f *transfer.Folder) error {
	levels := strings.Split(f.Name, "/")
	for i, level := range levels {
		if level == "" || level[0] == '.' || len(level) > 200 || strings.ContainsAny(level, "\x00\n") {
			return errName
		}
		if i+1 == len(levels) {
			break
		}
		dir := strings.Join(levels[:i+1], "/")
		if err := w.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if info, err := w.root.Lstat(dir); err != nil || !info.IsDir() {
			return errors.Join(err, errName)
		}
	}
	w.path, w.err = f.Name+".mbox", nil
	if err := w.root.Remove(w.path + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var err error
	if w.f, err = w.root.OpenFile(w.path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return err
	}
	w.out = bufio.NewWriterSize(w.f, 64<<10)
	return nil
}

// Put writes a message.
func (w *Writer) Put(_ context.Context, m *transfer.Message) error {
	r, err := m.Open()
	if err != nil {
		return err
	}
	text, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if w.err == nil {
		w.err = w.write(m, text)
	}
	return w.err
}

func (w *Writer) write(m *transfer.Message, text []byte) error {
	out, eol := io.Writer(w.out), "\r\n"
	lf := &transfer.LFWriter{W: w.out}
	if !w.crlf {
		out = lf
	}
	if _, err := fmt.Fprintf(out, "From %s %s%s", sender(text), m.Received.UTC().Format("Mon Jan _2 15:04:05 2006"), eol); err != nil {
		return err
	}
	header := true
	for len(text) > 0 {
		i := bytes.IndexByte(text, '\n') + 1
		if i == 0 {
			i = len(text)
		}
		line := text[:i]
		text = text[i:]
		if header && len(bytes.TrimRight(line, "\r\n")) == 0 {
			header = false
			if _, err := out.Write(appendStatus(nil, m.Flags, m.Keywords, eol)); err != nil {
				return err
			}
		}
		if isFrom(line) {
			if _, err := io.WriteString(out, ">"); err != nil {
				return err
			}
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
		if len(text) == 0 && line[len(line)-1] != '\n' { // the next one must begin a line
			if _, err := io.WriteString(out, eol); err != nil {
				return err
			}
		}
	}
	if _, err := io.WriteString(out, eol); err != nil {
		return err
	}
	return lf.Close()
}

// sender returns the envelope's sender, which the first line of a delivered message
// tells, as the "From " line has it.
func sender(text []byte) string {
	const field = "return-path:"
	line, _, _ := bytes.Cut(text, []byte("\r\n"))
	if len(line) < len(field) || !bytes.EqualFold(line[:len(field)], []byte(field)) {
		return "MAILER-DAEMON"
	}
	address := bytes.Trim(line[len(field):], " \t<>")
	if len(address) == 0 || bytes.ContainsAny(address, " \t\r\n") {
		return "MAILER-DAEMON"
	}
	return string(address)
}

// End completes the file.
func (w *Writer) End(context.Context) error {
	f := w.f
	w.f = nil
	err := errors.Join(w.err, w.out.Flush(), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return w.root.Rename(w.path+".new", w.path)
}

// Close closes the folder.
func (w *Writer) Close() error {
	var err error
	if w.f != nil {
		err = w.f.Close()
	}
	return errors.Join(err, w.root.Close())
}

var _ transfer.Sink = (*Writer)(nil)
