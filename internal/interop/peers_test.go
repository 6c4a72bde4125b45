//go:build interop

package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/bench/sink"
)

// smtpSink is Postfix's test server; it writes what it takes into a folder.
func smtpSink(t *testing.T, args ...string) (addr, dump string) {
	t.Helper()
	addr, dump = freeAddress(t), t.TempDir()
	if err := os.Chmod(dump, 0o777); err != nil { // it gives up its rights
		t.Fatal(err)
	}
	for d := dump; d != "/" && d != "."; d = filepath.Dir(d) {
		if info, err := os.Stat(d); err == nil && info.Mode().Perm()&1 == 0 {
			_ = os.Chmod(d, info.Mode().Perm()|0o111) // the folders of a test are its owner's alone
		}
	}
	argv := append([]string{"-4", "-u", "nobody", "-m", "500", "-d", dump + "/%M."}, args...)
	cmd := exec.Command("smtp-sink", append(argv, addr, "1000")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out strings.Builder
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("smtp-sink: %s", out.String())
		}
	})
	if !await(10*time.Second, func() bool { return dials(addr) }) {
		t.Fatalf("smtp-sink does not listen: %s", out.String())
	}
	return addr, dump
}

func dumped(t *testing.T, dump string) []string {
	t.Helper()
	files, err := filepath.Glob(dump + "/*")
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

// Postfix's generator and sink at the two ends: every message arrives once, with
// one trace line of ours and its text as it was.
// Covers R2, D9, D1.
func TestPostfixAtBothEnds(t *testing.T) {
	for _, sinkArgs := range [][]string{nil, {"-p"}, {"-e"}, {"-8"}} {
		t.Run(strings.Join(append([]string{"sink"}, sinkArgs...), " "), func(t *testing.T) {
			addr, dump := smtpSink(t, sinkArgs...)
			r := newRelay(t, t.TempDir(), "smtp:"+addr, "")
			r.start()
			for _, args := range [][]string{{"-d", "-s", "20"}, {"-s", "10"}, {"-d", "-s", "5", "-r", "7"}} {
				out, err := tool(t, "", "smtp-source", append(args, "-4", "-m", "200", "-l", "4096", "-f", "bench@example.org", "-t", "rcpt@example.test", "-M", "gen.example.org", r.addr)...)
				if err != nil || out != "" {
					t.Fatalf("smtp-source %v: %v: %s", args, err, out)
				}
			}
			drained(t, r)
			texts := dumped(t, dump)
			if len(texts) != 600 {
				t.Fatalf("the sink took %d messages, want 600", len(texts))
			}
			for _, text := range texts {
				if strings.Count(text, "Received: from gen.example.org ") != 1 || strings.Count(text, "by mta.example.org with SMTP id ") != 1 {
					t.Fatalf("trace of a message:\n%s", text[:min(len(text), 800)])
				}
			}
		})
	}
}

// A text with everything that framing could break comes out as it went in, to
// Python's eyes, by DATA and from its own client.
// Covers R4, R5, R15.
func TestPythonClient(t *testing.T) {
	addr, dump := smtpSink(t)
	r := newRelay(t, t.TempDir(), "smtp:"+addr, "")
	r.start()
	host, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		t.Fatal(err)
	}
	out, err := tool(t, "", "python3", "-c", fmt.Sprintf(`
import smtplib, ssl
s = smtplib.SMTP(%q, %s, local_hostname="py.example.org")
s.ehlo()
for ext in ("pipelining", "size", "8bitmime", "smtputf8", "enhancedstatuscodes", "chunking", "dsn", "starttls", "limits"):
    assert s.has_extn(ext), ext
ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
s.starttls(context=ctx)
s.ehlo()
assert not s.has_extn("starttls")
body = "Subject: dots\r\n\r\n.\r\n..\r\n...x\r\n" + "y" * 5000 + "\r\n.\r\nend"
bad = s.sendmail("a@example.org", ["b@example.test", "c@example.test"], body, ["ret=hdrs", "envid=abc"], ["notify=never"])
assert bad == {}, bad
s.rset()
assert s.vrfy("b@example.test")[0] == 252
assert s.docmd("EXPN", "list")[0] == 502
assert s.docmd("MAIL", "FROM:<a@example.org> SIZE=999999999")[0] == 552
s.quit()
print("done")
`, host, port))
	if err != nil || strings.TrimSpace(out) != "done" {
		t.Fatalf("smtplib: %v\n%s", err, out)
	}
	drained(t, r)
	texts := dumped(t, dump)
	if len(texts) != 1 {
		t.Fatalf("the sink took %d messages, want 1", len(texts))
	}
	want := ".\n..\n...x\n" + strings.Repeat("y", 5000) + "\n.\nend"
	if got := strings.ReplaceAll(texts[0], "\r\n", "\n"); !strings.Contains(got, want) || !strings.Contains(got, "with ESMTPS id") {
		t.Errorf("the text came out changed:\n%.2000s", got)
	}
}

// swaks over STARTTLS, and refused from outside the networks.
// Covers R10, A1.
func TestSwaks(t *testing.T) {
	w := newWorld(t)
	r := newRelay(t, t.TempDir(), "smtp:"+w.addr, "[relay]\nnetworks = [\"127.0.0.1/32\"]\n")
	r.start()
	out, err := tool(t, "", "swaks", "--server", r.addr, "--from", "a@example.org", "--to", "b@example.test,c@example.test", "--tls", "--pipeline", "--header", "Subject: hello")
	if err != nil || !strings.Contains(out, "250 2.0.0 queued as ") {
		t.Fatalf("swaks: %v\n%s", err, out)
	}
	id := regexp.MustCompile(`queued as (\w{26})`).FindStringSubmatch(out)[1]
	out, err = tool(t, "", "swaks", "--server", r.addr, "--local-interface", "127.0.0.9", "--from", "a@example.org", "--to", "b@example.test")
	if err == nil || !strings.Contains(out, "550 5.7.1") {
		t.Errorf("a stranger relays: %v\n%s", err, out)
	}
	drained(t, r)
	if n := w.Counts().Recipients; n != 2 {
		t.Errorf("%d recipients delivered, want 2", n)
	}
	// The log's commands tell the same story.
	await(5*time.Second, func() bool { out, _ = r.command("log", "life", id); return strings.Contains(out, "2 delivered") })
	if !strings.Contains(out, "accepted") || !strings.Contains(out, "2 delivered") {
		t.Errorf("log life:\n%s", out)
	}
	if out, code := r.command("log", "find", "--event", "rejected", "--code", "550"); code != 0 || !strings.Contains(out, "127.0.0.9") {
		t.Errorf("log find: exit %d\n%s", code, out)
	}
	if out, code := r.command("status"); code != 0 {
		t.Errorf("status: exit %d\n%s", code, out)
	}
}

// LMTP out, by TCP and by a unix socket, to a sink of ours: one reply a
// recipient.
// Covers D13.
func TestLMTPHop(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "lmtp.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	w := serveLMTP(t, l, sink.Rule{At: sink.AtRcpt, Domain: "no.example", Reply: "450 4.2.1 nobody home"})
	r := newRelay(t, t.TempDir(), "lmtp:unix:"+socket, "")
	r.start()
	out, err := tool(t, "", "swaks", "--server", r.addr, "--from", "a@example.org", "--to", "b@yes.example,c@no.example")
	if err != nil {
		t.Fatalf("swaks: %v\n%s", err, out)
	}
	await(10*time.Second, func() bool { out, _ = r.command("queue", "list", "--json"); return strings.Contains(out, `"deferred"`) })
	if w.Counts().Recipients != 1 || !strings.Contains(out, `"state":"deferred"`) || !strings.Contains(out, "nobody") || strings.Contains(out, "b@yes") {
		t.Errorf("delivered %d; queue list:\n%s", w.Counts().Recipients, out)
	}
	// The operator's verbs on what is left.
	id := regexp.MustCompile(`"id":"(\w{26})"`).FindStringSubmatch(out)[1]
	if out, code := r.command("queue", "show", id); code != 0 || !strings.Contains(out, "c@no.example") {
		t.Errorf("show: exit %d\n%s", code, out)
	}
	if out, code := r.command("queue", "cat", id); code != 0 || !strings.Contains(out, "Received: from ") || !strings.Contains(out, "This is a test mailing") {
		t.Errorf("cat: exit %d\n%s", code, out)
	}
	if out, code := r.command("queue", "summary", "--json"); code != 0 || !strings.Contains(out, `"deferred":1`) {
		t.Errorf("summary: exit %d\n%s", code, out)
	}
	if _, code := r.command("queue", "list", "--to-domain", "absent.example"); code != 3 {
		t.Errorf("list of nothing: exit %d, want 3", code)
	}
	if _, code := r.command("queue", "list", "--no-such-flag"); code != 2 {
		t.Errorf("an unknown flag: exit %d, want 2", code)
	}
	if out, code := r.command("queue", "drop", id, "--reason", "test", "--yes", "--json"); code != 0 || !strings.Contains(out, `"done":1`) {
		t.Errorf("drop: exit %d\n%s", code, out)
	}
	drained(t, r)
	if !await(5*time.Second, func() bool {
		out, _ = r.command("log", "find", "--event", "dropped")
		return strings.Contains(out, "test")
	}) {
		t.Errorf("the drop is not in the log:\n%s", out)
	}
}

// A sync goes before every 250, and one serves many: counted from outside.
// Covers Q1, Q2, R25.
func TestSyncsPerMessage(t *testing.T) {
	addr, _ := smtpSink(t)
	r := newRelay(t, t.TempDir(), "smtp:"+addr, "")
	count := filepath.Join(r.dir, "strace.txt")
	r.start("strace", "-D", "-f", "-qq", "--seccomp-bpf", "-c", "-o", count, "-e", "trace=fsync,fdatasync,sync_file_range,msync,syncfs,sync")
	const messages = 2000
	if out, err := tool(t, "", "smtp-source", "-4", "-d", "-s", "100", "-m", strconv.Itoa(messages), "-l", "4096", "-f", "a@example.org", "-t", "b@example.test", r.addr); err != nil || out != "" {
		t.Fatalf("smtp-source: %v: %s", err, out)
	}
	drained(t, r)
	r.signal(syscall.SIGTERM)
	var text []byte
	await(10*time.Second, func() bool { text, _ = os.ReadFile(count); return strings.Contains(string(text), "total") })
	syncs := 0
	for _, f := range regexp.MustCompile(`(?m)^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s.*sync`).FindAllStringSubmatch(string(text), -1) {
		n, _ := strconv.Atoi(f[1])
		syncs += n
	}
	t.Logf("%d syncs for %d messages: %.3f each", syncs, messages, float64(syncs)/messages)
	if syncs < messages/100 || float64(syncs) > 0.3*messages {
		t.Errorf("%d syncs for %d messages; want at most 0.3 each, and no fewer than one for a hundred sessions:\n%s", syncs, messages, text)
	}
}
