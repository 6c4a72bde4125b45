//go:build interop

package interop

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

const thunderbirdAccount = `
const [domain, password, count, certificate, port] = args;
// The certificate is taken as a user takes it who is asked.
const cert = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).constructX509FromBase64(certificate);
Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService).rememberValidityOverride("mda.example.org", port, {}, cert, false);
const { FetchConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/FetchConfig.sys.mjs");
const { AccountConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/AccountConfig.sys.mjs");
const { CreateInBackend } = ChromeUtils.importESModule("resource:///modules/accountcreation/CreateInBackend.sys.mjs");
const config = await FetchConfig.fromDB(domain, new AbortController().signal);
AccountConfig.replaceVariables(config, "A User", "bird@" + domain, password);
const account = await CreateInBackend.createAccountInBackend(config);
await CreateInBackend.rememberPassword(account.incomingServer, password);
const server = account.incomingServer;
server.performExpand(win.msgWindow);
const inbox = await until("INBOX", () => server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox));
inbox.getNewMessages(win.msgWindow, null);
await until("messages", () => inbox.getTotalMessages(false) == count);
const F = Ci.nsMsgFolderFlags;
const uses = await until("folders for special uses", () => {
  const names = [F.SentMail, F.Drafts, F.Trash, F.Junk, F.Archive].map(f => server.rootFolder.getFolderWithFlags(f)?.URI.split("/").pop());
  return names.every(n => n) && names;
});
return [server.type, server.port == port, uses.join()].join(" ");`

const thunderbirdReads = `
const [count] = args;
const server = MailServices.accounts.allServers.find(s => s.type == "imap");
const inbox = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
const tabmail = win.document.getElementById("tabmail");
const pane = await until("pane", () => tabmail.currentAbout3Pane?.displayFolder && tabmail.currentAbout3Pane);
pane.displayFolder(inbox.URI);
await until("rows", () => pane.gDBView?.rowCount == count);
pane.threadTree.selectedIndex = count - 1; // the newest stand first
const text = await until("text", () => {
  const body = tabmail.currentAboutMessage.getMessagePaneBrowser().contentDocument?.body.textContent;
  return body?.includes("plain") && body;
});
await until("seen", () => inbox.getNumUnread(false) == count - 1);
return text;`

const thunderbirdChanges = `
const [count] = args;
const server = MailServices.accounts.allServers.find(s => s.type == "imap");
const inbox = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
await until("the new message", () => inbox.getTotalMessages(false) == count + 1); // it idles
const all = [...inbox.messages];
inbox.markMessagesFlagged([all[1]], true);
inbox.deleteMessages([all[2]], win.msgWindow, false, false, null, false);
const trash = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Trash);
await until("gone", () => inbox.getTotalMessages(false) == count);
return trash.name;`

// Thunderbird finds its settings by our autoconfig, shows a message, knows the special
// folders, sees a new message while it idles, flags and deletes.
func TestIMAPThunderbird(t *testing.T) {
	const messages = 3
	s, settings := &imapServer{}, ""
	s.popServer = newMailServer(t, 3, func(free []string) string {
		s.imaps, settings = free[0], free[2]
		return fmt.Sprintf("[[listener]]\naddress = %q\nservice = \"imaps\"\n[[listener]]\naddress = %q\nservice = \"submissions\"\n[autoconfig]\naddress = %q\n", free[0], free[1], free[2])
	}, messages, "bird")
	text, err := os.ReadFile(s.pair.certificate)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	_, port, _ := net.SplitHostPort(s.imaps)
	number, _ := strconv.Atoi(port)
	b := newThunderbird(t, map[string]any{
		"mailnews.auto_config_url": "http://" + settings + "/mail/config-v1.1.xml?emailaddress=bird@", "network.dns.localDomains": "mda.example.org", "network.dns.disableIPv6": true,
		"mailnews.start_page.enabled": false, "mail.shell.checkDefaultClient": false, "mail.provider.suppress_dialog_on_startup": true, "app.update.enabled": false,
		"datareporting.policy.dataSubmissionEnabled": false, "toolkit.telemetry.enabled": false, "app.donation.eoy.version.viewed": 999,
	})
	got := b.script(thunderbirdAccount, "isp.example", popPassword, messages, base64.StdEncoding.EncodeToString(block.Bytes), number)
	if got != "imap true Sent,Drafts,Trash,Junk,Archive" {
		t.Errorf("the account: %q", got)
	}
	if got := b.script(thunderbirdReads, messages); !strings.Contains(got, "message 0") {
		t.Errorf("read: %q", got)
	}
	if n := b.screenshot(); n < 10_000 {
		t.Errorf("a screenshot of %d octets", n)
	}
	s.deliver(messages, "bird")
	b.script(thunderbirdChanges, messages)
	c := s.session("bird")
	changed := func() bool {
		if _, err := c.OK("SELECT INBOX"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.OK("FETCH 1:* (UID FLAGS)"); err != nil {
			t.Fatal(err)
		}
		m := c.Selected.Messages
		return len(m) == messages && m[0].Flags[`\seen`] && m[1].Flags[`\flagged`]
	}
	if !await(20*time.Second, changed) {
		t.Errorf("after Thunderbird: %v", c.Selected.Messages)
	}
	if texts, _ := s.texts("bird", "Trash"); len(texts) != 1 {
		t.Errorf("%d messages in Trash", len(texts))
	}
	if err := c.Logout(); err != nil {
		t.Fatal(err)
	}
}
