package target

import (
	"bufio"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares text with a file.
func golden(t *testing.T, name, text string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("%s: got\n%s\nwant\n%s", name, text, want)
	}
}

// needs are the cases in which every configuration is kept.
func needs() map[string]Need {
	return map[string]Need{
		"hop": Need{Dir: "/scratch", NextHop: "127.0.0.1:2526"}.withDefaults(),
		"suspended": Need{
			Dir: "/scratch", NextHop: "127.0.0.1:2526", Suspended: true, RetryFirst: 3 * time.Second,
			MaxMessage: 1 << 20, Conns: 400, TLS: true,
		}.withDefaults(),
		"lmtp": Need{Dir: "/scratch", NextHop: "127.0.0.1:2424", HopLMTP: true}.withDefaults(),
		"dns":  Need{Dir: "/scratch", DNS: "127.77.0.53", MXPort: 2525}.withDefaults(),
	}
}

func TestPostriderConfig(t *testing.T) {
	for name, n := range needs() {
		s := postriderSettings{listen: "127.0.0.1:25001", need: n}
		if name == "suspended" {
			s.extra = "[limits]\nrecipients = 500\n"
		}
		golden(t, "postrider-"+name+".toml", s.text(n.Suspended))
	}
	s := postriderSettings{listen: "127.0.0.1:25001", lmtp: "127.0.0.1:24001", pop3: "127.0.0.1:11001", imap: "127.0.0.1:14301", need: Need{Dir: "/scratch", Mailboxes: 3}.withDefaults()}
	golden(t, "postrider-mailboxes.toml", s.text(false))
}

func TestPostfixConfig(t *testing.T) {
	for name, n := range needs() {
		for profile, isp := range map[string]bool{"stock": false, "isp": true} {
			s := postfixSettings{listen: "127.0.0.1:25001", dir: n.Dir, need: n, isp: isp}
			golden(t, "postfix-"+profile+"-"+name+".cf", join(s.files(n.Suspended)))
		}
	}
}

func TestEximConfig(t *testing.T) {
	for name, n := range needs() {
		for profile, isp := range map[string]bool{"stock": false, "isp": true} {
			s := eximSettings{listen: "127.0.0.1:25001", dir: n.Dir, program: "/scratch/package/usr/sbin/exim4", need: n, isp: isp}
			text := "# exim " + strings.Join(s.arguments(n.Suspended), " ") + "\n" + s.text(n.Suspended)
			golden(t, "exim-"+profile+"-"+name+".conf", text)
		}
	}
}

func TestOpenSMTPDConfig(t *testing.T) {
	for name, n := range needs() {
		for profile, isp := range map[string]bool{"stock": false, "isp": true} {
			s := opensmtpdSettings{listen: "127.0.0.1:25001", dir: n.Dir, need: n, isp: isp}
			golden(t, "opensmtpd-"+profile+"-"+name+".conf", s.text())
		}
	}
}

func TestDovecotConfig(t *testing.T) {
	for name, n := range map[string]Need{
		"plain": Need{Dir: "/scratch"}.withDefaults(),
		"tls":   Need{Dir: "/scratch", TLS: true, Conns: 5000, Password: "other"}.withDefaults(),
	} {
		s := dovecotSettings{dir: n.Dir, need: n, lmtp: "127.0.0.1:24001", pop3: "127.0.0.1:24002", imap: "127.0.0.1:24003", uid: "8", gid: "8"}
		golden(t, "dovecot-"+name+".conf", s.text())
	}
}

func TestCountPostfix(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64
		ok   bool
	}{
		{"", 0, true},
		{`{"queue_name": "hold", "recipients": [{"address": "a@b"}, {"address": "c@d"}]}` + "\n" +
			`{"queue_name": "active", "queue_id": "4", "recipients": [{"address": "e@f"}]}` + "\n", 3, true},
		{`{"queue_name": "incoming", "recipients": []}`, 0, true},
		{`{"queue_name": `, 0, false},
		{"mail system is down", 0, false},
	} {
		got, err := countPostfix(bufio.NewReader(strings.NewReader(c.text)))
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%q: %d, %v", c.text, got, err)
		}
	}
}

func TestCountExim(t *testing.T) {
	const text = `11h  4.3K 1r3abc-000001-1A <load@bench.invalid>
          r1.0@a.bench.test
          r1.1@a.bench.test

 2m  1.2K 1r3abc-000002-2B <> *** frozen ***
          r2.0@b.bench.test

`
	if n := countExim(text); n != 3 {
		t.Errorf("%d recipients, want 3", n)
	}
	if n := countExim(""); n != 0 {
		t.Errorf("%d recipients in an empty queue", n)
	}
}

func TestCountOpenSMTPD(t *testing.T) {
	const text = `d0c1f1a2b3c4d5e6|inet4|mta|auth|load@bench.invalid|r1.0@a.test|r1.0@a.test|1795900000|1796300000|0|0|pending|0|
d0c1f1a2b3c4d5e7|inet4|mta|auth|load@bench.invalid|r1.1@a.test|r1.1@a.test|1795900000|1796300000|0|1|inflight|0|451 later
`
	if n := countOpenSMTPD(text); n != 2 {
		t.Errorf("%d recipients, want 2", n)
	}
	if n := countOpenSMTPD("smtpctl: need root privileges\n"); n != 0 {
		t.Errorf("%d recipients in a complaint", n)
	}
}

func TestVersions(t *testing.T) {
	for got, want := range map[string]string{
		eximVersion("Exim version 4.96 #2 built 09-Dec-2025\nCopyright"): "4.96",
		eximVersion("sh: exim: no"):                                      "no",
		eximVersion(""):                                                  "",
		opensmtpdVersion("version: OpenSMTPD 6.8.0p2\nusage"):            "6.8.0p2",
		opensmtpdVersion("?"):                                            "?",
		lastWord("postrider version 0.1.0"):                              "0.1.0",
	} {
		if got != want {
			t.Errorf("version %q, want %q", got, want)
		}
	}
}
