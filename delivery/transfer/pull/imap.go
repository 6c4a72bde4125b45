package pull

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"postrider/delivery/mailbox"
	"postrider/delivery/transfer"
)

// IMAP is an account of an IMAP server as a source.
type IMAP struct {
	server Server
	client *imapclient.Client // nil: not connected
	stop   func() bool
	names  map[string]string // the server's names by ours
}

// OpenIMAP logs in.
func OpenIMAP(ctx context.Context, s Server) (*IMAP, error) {
	i := &IMAP{server: s, names: make(map[string]string)}
	return i, i.connect(ctx)
}

func (i *IMAP) connect(ctx context.Context) error {
	conn, stop, err := i.server.dial(ctx)
	if err != nil {
		return err
	}
	i.stop = stop
	if i.server.Implicit {
		i.client = imapclient.New(conn, nil)
	} else if i.client, err = imapclient.NewStartTLS(conn, &imapclient.Options{TLSConfig: i.server.tls()}); err != nil {
		i.client = nil
		stop()
		clear := i.server.mayLogin(conn, false)
		_ = conn.Close() // closed already, mostly
		if refused := (*imap.Error)(nil); !errors.As(err, &refused) || clear != nil {
			return errors.Join(clear, fmt.Errorf("STARTTLS: %w", err))
		}
		if conn, i.stop, err = i.server.dial(ctx); err != nil {
			return err
		}
		i.client = imapclient.New(conn, nil)
	}
	if err := i.client.WaitGreeting(); err != nil {
		return errors.Join(err, i.Close())
	}
	if err := i.client.Login(i.server.User, i.server.Password).Wait(); err != nil {
		return errors.Join(fmt.Errorf("login: %w", err), i.Close())
	}
	return nil
}

// Close ends the session.
func (i *IMAP) Close() error {
	if i.client == nil {
		return nil
	}
	i.stop()
	err := i.client.Close()
	i.client = nil
	return err
}

// Origin names the server and the user.
func (i *IMAP) Origin() string { return "imap " + i.server.host() + " " + i.server.User }

// Folders returns the mailboxes that can be opened.
func (i *IMAP) Folders(context.Context) ([]transfer.Folder, error) {
	options := &imap.ListOptions{}
	if caps := i.client.Caps(); caps.Has(imap.CapListExtended) || caps.Has(imap.CapIMAP4rev2) {
		options.ReturnSubscribed = true
		options.ReturnSpecialUse = caps.Has(imap.CapSpecialUse)
	}
	list, err := i.client.List("", "*", options).Collect()
	if err != nil {
		return nil, err
	}
	var folders []transfer.Folder
	for _, data := range list {
		f, open := folderOf(data)
		if !open {
			continue
		}
		i.names[f.Name] = data.Mailbox
		f.Subscribed = f.Subscribed || !options.ReturnSubscribed
		// One that cannot be asked is given all the same: reading it tells why.
		status, err := i.client.Status(data.Mailbox, &imap.StatusOptions{NumMessages: true, UIDNext: true, UIDValidity: true}).Wait()
		if err == nil {
			f.UIDValidity, f.UIDNext, f.Messages = status.UIDValidity, uint32(status.UIDNext), -1
			if status.NumMessages != nil {
				f.Messages = int(*status.NumMessages)
			}
		}
		folders = append(folders, f)
	}
	return folders, nil
}

// folderOf returns a listed mailbox as a folder, and whether it can be opened.
func folderOf(data *imap.ListData) (f transfer.Folder, open bool) {
	name := data.Mailbox
	if data.Delim != 0 && data.Delim != '/' {
		name = strings.NewReplacer("/", "_", string(data.Delim), "/").Replace(name)
	}
	first, below, _ := strings.Cut(name, "/")
	if strings.EqualFold(first, "INBOX") {
		name = strings.TrimSuffix("INBOX/"+below, "/")
	}
	f = transfer.Folder{Name: name, Messages: -1}
	for _, attr := range data.Attrs {
		switch attr {
		case imap.MailboxAttrNoSelect, imap.MailboxAttrNonExistent:
			return f, false
		case imap.MailboxAttrSubscribed:
			f.Subscribed = true
		case imap.MailboxAttrArchive:
			f.Use |= mailbox.UseArchive
		case imap.MailboxAttrDrafts:
			f.Use |= mailbox.UseDrafts
		case imap.MailboxAttrJunk:
			f.Use |= mailbox.UseJunk
		case imap.MailboxAttrSent:
			f.Use |= mailbox.UseSent
		case imap.MailboxAttrTrash:
			f.Use |= mailbox.UseTrash
		}
	}
	if f.Use == 0 {
		f.Use = transfer.UseOf(name)
	}
	return f, true
}

var _ transfer.Source = (*IMAP)(nil)
