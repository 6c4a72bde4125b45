package target

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// dovecot runs Debian's Dovecot: mail comes by LMTP, is kept in Maildirs, and is
// read by POP3 and IMAP. Any name is a user, with the password of the need.
type dovecot struct{}

const (
	dovecotPackages = "dovecot-lmtpd dovecot-imapd dovecot-pop3d"
	// dovecotOwner is the user whose mailboxes they are: one that every Debian has.
	dovecotOwner = "mail"
	// dovecotPath bounds the path of the scratch folder: the names of sockets below
	// it have up to 30 bytes, and the kernel takes 107 in all.
	dovecotPath = 75
)

func (dovecot) plan(ctx context.Context, _ Options, n Need) (*plan, error) {
	if n.Suspended {
		return nil, fmt.Errorf("suspended delivery: %w", ErrUnsupported)
	}
	if err := needRoot(); err != nil {
		return nil, err
	}
	program, err := find("dovecot", dovecotPackages)
	if err != nil {
		return nil, err
	}
	if len(n.Dir) > dovecotPath {
		return nil, fmt.Errorf("the path of the scratch folder has %d bytes, for its sockets it may have %d", len(n.Dir), dovecotPath)
	}
	version, err := output(ctx, program, "--version")
	if err != nil {
		return nil, err
	}
	owner, err := user.Lookup(dovecotOwner)
	if err != nil {
		return nil, err
	}
	addresses, err := loopback(3)
	if err != nil {
		return nil, err
	}
	s := dovecotSettings{dir: n.Dir, need: n, lmtp: addresses[0], pop3: addresses[1], imap: addresses[2], uid: owner.Uid, gid: owner.Gid}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	p := &plan{lmtp: s.lmtp, pop3: s.pop3, imap: s.imap, data: s.mail()}
	config := filepath.Join(n.Dir, "dovecot.conf")
	p.argv = []string{program, "-F", "-c", config}
	p.info.Version = strings.Fields(version + " ?")[0]
	p.info.Config = s.text()
	if p.info.Binary, err = hash(program); err != nil {
		return nil, err
	}
	// Its LMTP answers when a message is in the mailbox: nothing waits.
	p.queued = func(context.Context, *running) (int64, error) { return 0, nil }
	return p, nil
}

// dovecotSettings are what its configuration depends on.
type dovecotSettings struct {
	dir              string
	need             Need
	lmtp, pop3, imap string
	uid, gid         string
}

func (s dovecotSettings) mail() string { return filepath.Join(s.dir, "mail") }

// prepare writes the configuration and makes the folders.
func (s dovecotSettings) prepare() error {
	if err := passable(s.dir); err != nil {
		return err
	}
	uid, err := strconv.Atoi(s.uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(s.gid)
	if err != nil {
		return err
	}
	for _, name := range []string{s.mail(), filepath.Join(s.dir, "run")} {
		if err := os.MkdirAll(name, 0o755); err != nil {
			return err
		}
	}
	if err := os.Chown(s.mail(), uid, gid); err != nil {
		return err
	}
	if s.need.TLS {
		pem, err := selfSigned("mda.bench.test")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.dir, certificateName), pem, 0o600); err != nil {
			return err
		}
	}
	return write(s.dir, []file{{"dovecot.conf", s.text()}})
}

// text returns the configuration: the defaults, with limits as high as the load
// needs them. By default Dovecot takes ten connections of a user from an address,
// and here all come from one.
func (s dovecotSettings) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, `hostname = mda.bench.test
postmaster_address = postmaster@bench.test
base_dir = %s
state_dir = %s
log_path = %s
protocols = imap pop3 lmtp
listen = 127.0.0.1
mail_location = maildir:~/Maildir
first_valid_uid = 1
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_max_userip_connections = %d
default_process_limit = %d
default_client_limit = %d
passdb {
  driver = static
  args = password=%s
}
userdb {
  driver = static
  args = uid=%s gid=%s home=%s/%%n allow_all_users=yes
}
`, filepath.Join(s.dir, "run"), filepath.Join(s.dir, "run"), filepath.Join(s.dir, logName),
		max(10, s.need.Conns), max(100, s.need.Conns+20), max(1000, 4*s.need.Conns), s.need.Password, s.uid, s.gid, s.mail())
	if s.need.TLS {
		name := filepath.Join(s.dir, certificateName)
		fmt.Fprintf(&b, "ssl = yes\nssl_cert = <%s\nssl_key = <%s\n", name, name)
	} else {
		b.WriteString("ssl = no\n")
	}
	for _, login := range [][3]string{{"imap", port(s.imap), "imaps"}, {"pop3", port(s.pop3), "pop3s"}} {
		fmt.Fprintf(&b, `service %[1]s-login {
  inet_listener %[1]s {
    port = %[2]s
  }
  inet_listener %[3]s {
    port = 0
  }
}
service %[1]s {
  process_limit = %[4]d
}
`, login[0], login[1], login[2], max(1024, s.need.Conns+20))
	}
	fmt.Fprintf(&b, `service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = %s
  }
}
`, port(s.lmtp))
	return b.String()
}
