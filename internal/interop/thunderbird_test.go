//go:build interop

package interop

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// thunderbird is a Thunderbird without a screen, driven over its Marionette protocol:
// its scripts run inside, with all rights.
type thunderbird struct {
	t      *testing.T
	nc     net.Conn
	in     *bufio.Reader
	serial int
}

// newThunderbird starts one with a profile of its own. What it shows when a script
// fails is kept in the file THUNDERBIRD_SCREENSHOT.
func newThunderbird(t *testing.T, prefs map[string]any) *thunderbird {
	t.Helper()
	dir := t.TempDir()
	addr := freeAddress(t)
	_, port, _ := net.SplitHostPort(addr)
	prefs["marionette.port"], _ = strconv.Atoi(port)
	var user strings.Builder
	for name, value := range prefs {
		v, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&user, "user_pref(%q, %s);\n", name, v)
	}
	profile := folder(t, dir, "profile")
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(user.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("thunderbird", "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "-profile", profile)
	cmd.Env = append(os.Environ(), "HOME="+dir, "MOZ_HEADLESS_WIDTH=1200", "MOZ_HEADLESS_HEIGHT=800")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its helpers too
		_ = cmd.Wait()
	})
	if !await(60*time.Second, func() bool { return dials(addr) }) {
		t.Fatal("Thunderbird does not listen")
	}
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	b := &thunderbird{t: t, nc: nc, in: bufio.NewReader(nc)}
	b.read() // it says who it is
	b.call("WebDriver:NewSession", map[string]any{})
	b.call("Marionette:SetContext", map[string]any{"value": "chrome"})
	b.call("WebDriver:SetTimeouts", map[string]any{"script": 90_000})
	return b
}

func (b *thunderbird) read() json.RawMessage {
	b.t.Helper()
	if err := b.nc.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		b.t.Fatal(err)
	}
	digits, err := b.in.ReadString(':')
	if err != nil {
		b.t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSuffix(digits, ":"))
	if err != nil {
		b.t.Fatal(err)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(b.in, text); err != nil {
		b.t.Fatal(err)
	}
	return text
}

// call runs a command and returns its value.
func (b *thunderbird) call(command string, params map[string]any) string {
	b.t.Helper()
	b.serial++
	text, err := json.Marshal([]any{0, b.serial, command, params})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(b.nc, "%d:%s", len(text), text); err != nil {
		b.t.Fatal(err)
	}
	var answer []json.RawMessage
	if err := json.Unmarshal(b.read(), &answer); err != nil || len(answer) != 4 {
		b.t.Fatal(answer, err)
	}
	if string(answer[2]) != "null" {
		b.t.Fatalf("%s: %s", command, answer[2])
	}
	var value struct{ Value any }
	_ = json.Unmarshal(answer[3], &value) // some have another form, which nobody reads
	s, _ := value.Value.(string)
	return s
}

// script runs the body of a function, which may await and use until(what, function).
func (b *thunderbird) script(body string, args ...any) string {
	b.t.Helper()
	const frame = `const args = arguments, done = arguments[arguments.length - 1];
const until = async (what, f) => {
  let last;
  for (let i = 0; i < 400; i++) {
    try { const v = await f(); if (v) return v; last = v; } catch (e) { last = e; }
    await new Promise(r => setTimeout(r, 100));
  }
  throw new Error("never: " + what + ": " + last);
};
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const win = Services.wm.getMostRecentWindow("mail:3pane");
(async () => { %s })().then(done, e => done("error: " + e + " " + e.stack));`
	got := b.call("WebDriver:ExecuteAsyncScript", map[string]any{"script": fmt.Sprintf(frame, body), "args": args, "sandbox": "system"})
	if strings.HasPrefix(got, "error: ") {
		b.screenshot()
		b.t.Fatal(got)
	}
	return got
}

// screenshot keeps what is shown, when somebody asks for it, and returns its size.
func (b *thunderbird) screenshot() int {
	b.t.Helper()
	png, err := base64.StdEncoding.DecodeString(b.call("WebDriver:TakeScreenshot", map[string]any{"full": false}))
	if err != nil {
		b.t.Fatal(err)
	}
	if path := os.Getenv("THUNDERBIRD_SCREENSHOT"); path != "" {
		if err := os.WriteFile(path, png, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	return len(png)
}

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
