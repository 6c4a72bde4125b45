//go:build interop

package interop

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dovecotIMAP is a Dovecot with IMAP, and with all that its packages can do that
// ours can: special uses, quota, metadata. Any name is a user.
type dovecotIMAP struct{ imap, lmtp string }

// dovecotPassword is one that its static database can hold.
const dovecotPassword = "secret"

const dovecotIMAPConfig = `base_dir = %[1]s/run
state_dir = %[1]s/run
log_path = %[1]s/mail.log
hostname = mda.example.org
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = mdbox:~/mdbox
mail_attribute_dict = file:%%h/attributes
mail_plugins = quota
mail_max_userip_connections = 100
first_valid_uid = 1
passdb {
  driver = static
  args = password=%[2]s
}
userdb {
  driver = static
  args = uid=%[3]s gid=%[4]s home=%[1]s/mail/%%n allow_all_users=yes
}
plugin {
  quota = count:User quota
  quota_rule = *:storage=1G
  quota_vsizes = yes
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox Drafts {
    special_use = \Drafts
    auto = subscribe
  }
  mailbox Sent {
    special_use = \Sent
    auto = subscribe
  }
  mailbox Junk {
    special_use = \Junk
    auto = subscribe
  }
  mailbox Trash {
    special_use = \Trash
    auto = subscribe
  }
  mailbox Archive {
    special_use = \Archive
    auto = subscribe
  }
}
protocol imap {
  mail_plugins = quota imap_quota
  imap_metadata = yes
}
service imap-login {
  inet_listener imap {
    port = %[5]s
  }
  inet_listener imaps {
    port = 0
  }
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = %[6]s
  }
}
service anvil {
  chroot =
}
`

func startDovecotIMAP(t *testing.T) *dovecotIMAP {
	t.Helper()
	dir, err := os.MkdirTemp("", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	owner, err := user.Lookup("mail")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	for name, mode := range map[string]os.FileMode{"": 0o755, "run": 0o755, "mail": 0o700} {
		if err := os.MkdirAll(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(dir, "mail"), uid, gid); err != nil {
		t.Fatal(err)
	}
	free := freeAddresses(t, 2)
	d := &dovecotIMAP{imap: free[0], lmtp: free[1]}
	port := func(addr string) string { _, p, _ := net.SplitHostPort(addr); return p }
	config := filepath.Join(dir, "dovecot.conf")
	text := fmt.Sprintf(dovecotIMAPConfig, dir, dovecotPassword, owner.Uid, owner.Gid, port(d.imap), port(d.lmtp))
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "dovecot", "-F", "-c", config)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), "TZ=UTC")
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "mail.log"))
			t.Logf("Dovecot: %s\n%s", said.String(), log[max(0, len(log)-3000):])
		}
	})
	if !await(20*time.Second, func() bool { return dials(d.imap) && dials(d.lmtp) }) {
		t.Fatal("Dovecot does not listen")
	}
	return d
}
