//go:build interop

package interop

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Python's poplib, by STLS and by TLS: texts, unique-ids that stay, TOP, what was
// removed and what was only marked, APOP that is not there.
const poplibScript = `
import poplib, ssl, sys, os, time
host, port, sport, user, password, out = sys.argv[1:]
context = ssl._create_unverified_context()
def stls():
    p = poplib.POP3(host, int(port)); p.stls(context); return p
def tls():
    return poplib.POP3_SSL(host, int(sport), context=context)
def login(p):
    p.user(user); p.pass_(password); return p
p = stls()
try:
    p.apop(user, password); sys.exit("APOP is offered")
except poplib.error_proto:
    pass
capa = p.capa()
for c in ("TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "UTF8", "USER", "SASL", "EXPIRE", "IMPLEMENTATION"):
    assert c in capa, (c, capa)
assert "STLS" not in capa
login(p)
n, size = p.stat()
uids = p.uidl()[1]
assert len(uids) == n and sum(int(l.split()[1]) for l in p.list()[1]) == size
for i in range(1, n + 1):
    lines = p.retr(i)[1]
    open(os.path.join(out, "m%d" % i), "wb").write(b"\r\n".join(lines) + b"\r\n")
    assert p.top(i, 10**9)[1] == lines
    head = lines[:lines.index(b"")+1]
    assert p.top(i, 0)[1] == head and p.top(i, 1)[1] == lines[:len(head)+1]
p.dele(1); p.rset(); p.dele(2)
p.sock.shutdown(2)          # no QUIT: nothing is removed
for attempt in range(100):      # until the server has seen that it is gone
    try:
        p = login(tls()); break
    except poplib.error_proto as e:
        assert b"[IN-USE]" in e.args[0], e
        time.sleep(0.05)
assert p.uidl()[1] == uids
p.dele(1); p.dele(n)
p.quit()
p = login(stls())
left = p.uidl()[1]
assert [l.split()[1] for l in left] == [l.split()[1] for l in uids[1:-1]], (left, uids)
p.quit()
p = tls()
try:
    p.user(user); p.pass_("wrong"); sys.exit("logged in")
except poplib.error_proto as e:
    assert b"[AUTH]" in e.args[0], e
`

// Real clients fetch every message as it was sent, leave mail on the server and know
// it again, fetch just what is new, and remove it.
//
// Covers HI9.
func TestPOP3Clients(t *testing.T) {
	const messages = 24
	s := newPopServer(t, messages, "poplib", "curl", "fetchmail", "getmail", "mpop")
	host, port, err := net.SplitHostPort(s.pop3)
	if err != nil {
		t.Fatal(err)
	}
	_, sport, err := net.SplitHostPort(s.pop3s)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()

	t.Run("poplib", func(t *testing.T) {
		out := folder(t, dir, "poplib")
		execute(t, out, []int{0}, "python3", "-c", poplibScript, host, port, sport, "poplib@isp.example", popPassword, out)
		s.compare("poplib", readAll(t, filepath.Join(out, "m*")), 0, messages-1)
	})

	t.Run("curl", func(t *testing.T) {
		var texts []string
		for i := range messages {
			way := []string{"pop3://" + s.pop3, "pop3s://" + s.pop3s}[i%2]
			options := [][]string{{}, {"--login-options", "AUTH=PLAIN"}, {"--login-options", "AUTH=LOGIN"}, {"--login-options", "AUTH=PLAIN", "--sasl-ir"}}[i/2%4]
			argv := append([]string{"curl", "-sSk", "--ssl-reqd", "-u", "curl@isp.example:" + popPassword}, options...)
			texts = append(texts, execute(t, dir, []int{0}, append(argv, fmt.Sprintf("%s/%d", way, i+1))...))
		}
		s.compare("curl", texts, 0, messages-1)
		list := execute(t, dir, []int{0}, "curl", "-sSk", "-u", "curl@isp.example:"+popPassword, "pop3s://"+s.pop3s)
		if n := strings.Count(list, "\n"); n != messages {
			t.Errorf("curl lists %d messages: %q", n, list)
		}
		execute(t, dir, []int{0}, "curl", "-sSk", "-I", "-X", "DELE 1", "-u", "curl@isp.example:"+popPassword, "pop3s://"+s.pop3s+"/")
		if got := s.count("curl"); !strings.HasPrefix(got, fmt.Sprintf("+OK %d ", messages-1)) {
			t.Errorf("after DELE: %q", got)
		}
		execute(t, dir, []int{67}, "curl", "-sSk", "-u", "curl@isp.example:wrong", "pop3s://"+s.pop3s)
	})

	// fetched runs a client that leaves mail on the server, again when nothing is new,
	// again when something is, and then lets it remove all.
	next := messages
	fetched := func(t *testing.T, user string, fetch func(keep bool) []string) {
		s.compare(user+", all", fetch(true), 0, messages-1)
		if texts := fetch(true); len(texts) != 0 {
			t.Errorf("%s fetched %d messages that it had", user, len(texts))
		}
		s.deliver(next, user)
		s.compare(user+", new", fetch(true), next, next)
		next++
		s.deliver(next, user)
		s.compare(user+", last", fetch(false), next, next)
		next++
	}
	empty := func(t *testing.T, user string) {
		t.Helper()
		if got := s.count(user); got != "+OK 0 0" {
			t.Errorf("left of %s: %q", user, got)
		}
	}

	t.Run("fetchmail", func(t *testing.T) {
		out := folder(t, dir, "fetchmail")
		script := keeper(t, out)
		run := func(port, how string, keep bool) []string {
			option := "keep"
			if !keep {
				option = "nokeep flush"
			}
			rc := filepath.Join(out, "rc")
			text := fmt.Sprintf("set no bouncemail\npoll %s protocol pop3 port %s uidl: user \"fetchmail@isp.example\" password %q %s no sslcertck no rewrite %s mda %q\n",
				"localhost", port, popPassword, how, option, script)
			if err := os.WriteFile(rc, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			execute(t, out, []int{0, 1}, "fetchmail", "-f", rc, "-v", "--nosyslog")
			return readAll(t, filepath.Join(out, "m.*"))
		}
		turn := 0
		fetched(t, "fetchmail", func(keep bool) []string {
			turn++
			if turn%2 == 1 {
				return run(port, "sslproto tls1.2+", keep)
			}
			return run(sport, "ssl", keep)
		})
		empty(t, "fetchmail")
	})

	t.Run("getmail", func(t *testing.T) {
		out := folder(t, dir, "getmail")
		script := keeper(t, out)
		fetched(t, "getmail", func(keep bool) []string {
			text := fmt.Sprintf(`[retriever]
type = SimplePOP3SSLRetriever
server = %s
port = %s
username = getmail@isp.example
password = %s
[destination]
type = MDA_external
path = %s
allow_root_commands = true
[options]
read_all = false
delete = %v
delivered_to = false
received = false
`, host, sport, popPassword, script, !keep)
			if err := os.WriteFile(filepath.Join(out, "rc"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			execute(t, out, []int{0}, "getmail", "--getmaildir", out, "--rcfile", "rc")
			return readAll(t, filepath.Join(out, "m.*"))
		})
		empty(t, "getmail")
	})

	t.Run("mpop", func(t *testing.T) {
		out := folder(t, dir, "mpop")
		for _, name := range []string{"cur", "new", "tmp"} {
			folder(t, filepath.Join(out, "Maildir"), name)
		}
		ways := [][]string{
			{"--tls=on", "--tls-starttls=on", "--port=" + port, "--auth=scram-sha-256"},
			{"--tls=on", "--tls-starttls=off", "--port=" + sport, "--auth=plain"},
			{"--tls=on", "--tls-starttls=on", "--port=" + port, "--auth=user"},
			{"--tls=on", "--tls-starttls=on", "--port=" + port, "--pipelining=on", "--auth=login"},
		}
		turn := 0
		fetched(t, "mpop", func(keep bool) []string {
			on := map[bool]string{true: "on", false: "off"}[keep]
			argv := append([]string{"mpop", "--host=localhost", "--user=mpop@isp.example", "--passwordeval=echo '" + popPassword + "'",
				"--tls-trust-file=" + s.pair.certificate, "--keep=" + on, "--uidls-file=" + filepath.Join(out, "uidls"),
				"--delivery=maildir," + filepath.Join(out, "Maildir"), "--received-header=off"}, ways[turn%len(ways)]...)
			turn++
			execute(t, out, []int{0}, argv...)
			return readAll(t, filepath.Join(out, "Maildir", "new", "*"))
		})
		empty(t, "mpop")
	})
}

// keeper is a program that puts each message into a file of its own.
func keeper(t *testing.T, dir string) string {
	t.Helper()
	script := filepath.Join(dir, "mda")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec cat > \"$(mktemp "+dir+"/m.XXXXXXXXXX)\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return script
}

func folder(t *testing.T, parts ...string) string {
	t.Helper()
	path := filepath.Join(parts...)
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}
