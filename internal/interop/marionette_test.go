//go:build interop

package interop

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
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
