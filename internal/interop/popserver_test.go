//go:build interop

package interop

import (
	"crypto/sha256"
	"fmt"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// popServer is a postrider with users and mailboxes, and POP3 in clear, with STLS
// and by TLS from the first octet.
type popServer struct {
	*relay
	pop3, pop3s, clear string
	pair               pair
	sums               map[int][32]byte // of the messages by number
}

const popPassword = "correct horse battery"

// newPopServer starts one with these users, each of whom has some messages.
func newPopServer(t *testing.T, messages int, users ...string) *popServer {
	t.Helper()
	return newMailServer(t, 0, func([]string) string { return "" }, messages, users...)
}

// newMailServer is newPopServer with more in the configuration, which is asked for with
// as many addresses as it needs.
func newMailServer(t *testing.T, needs int, more func(addresses []string) string, messages int, users ...string) *popServer {
	t.Helper()
	dir := t.TempDir()
	free := freeAddresses(t, 4+needs)
	s := &popServer{
		relay: &relay{t: t, dir: dir, addr: free[0], config: filepath.Join(dir, "postrider.toml"), errLog: filepath.Join(dir, "stderr.log")},
		pop3:  free[1], pop3s: free[2], clear: free[3], sums: map[int][32]byte{},
	}
	s.pair = writePair(t, dir, "server")
	text := fmt.Sprintf(`version = 1
hostname = "mda.example.org"
data_dir = "data"
[tls]
certificate = %q
key = %q
[[listener]]
address = %q
service = "relay"
tls = "off"
[[listener]]
address = %q
service = "pop3"
tls = "optional"
[[listener]]
address = %q
service = "pop3s"
[[listener]]
address = %q
service = "pop3"
tls = "off"
[local]
domains = ["isp.example"]
`, s.pair.certificate, s.pair.key, s.addr, s.pop3, s.pop3s, s.clear) + more(free[4:])
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, user := range users {
		cmd := exec.Command(binary(t, "postrider"), "user", "add", user+"@isp.example", "--password-stdin", "-c", s.config)
		cmd.Stdin = strings.NewReader(popPassword + "\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("user add: %v\n%s", err, out)
		}
	}
	s.start()
	for _, addr := range free {
		if !await(15*time.Second, func() bool { return dials(addr) }) {
			t.Fatalf("nothing listens on %s", addr)
		}
	}
	for i := range messages {
		s.deliver(i, users...)
	}
	return s
}

// deliver sends message i to users and notes its checksum.
func (s *popServer) deliver(i int, users ...string) {
	s.t.Helper()
	text := popMessage(i)
	number, sum, ok := popSum(text)
	if !ok || number != i {
		s.t.Fatalf("message %d has no number", i)
	}
	s.sums[i] = sum
	var to []string
	for _, user := range users {
		to = append(to, user+"@isp.example")
	}
	if err := smtp.SendMail(s.addr, nil, "sender@far.example", to, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

// popMessage is a text that is hard on clients in a way of its own.
func popMessage(i int) string {
	head := fmt.Sprintf("X-Test-Number: %d\r\nFrom: sender@far.example\r\nTo: users@isp.example\r\nSubject: message %d\r\n"+
		"Date: Sat, 28 Nov 2026 04:00:%02d +0000\r\nMessage-ID: <%d@far.example>\r\n", i, i, i%60, i)
	switch i % 8 {
	case 0:
		return head + "\r\nplain\r\n"
	case 1:
		return head + "\r\n.\r\n..\r\n.dots\r\n\r\n.\r\n"
	case 2:
		return head + "\r\n" + strings.Repeat("x", 990) + "\r\nend\r\n"
	case 3:
		return head + "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u00fc\u00dfe \u2713\r\n"
	case 4:
		return head + "\r\n" + strings.Repeat("a line of a text that is large\r\n.and one with a dot\r\n", 6000)
	case 5:
		return head + "\r\nempty lines\r\n\r\n\r\n\r\nFrom here on\r\n>From there\r\n"
	case 6:
		return head + "X-Folded: a\r\n\tb\r\n c\r\n\r\nfolded\r\n"
	}
	return head + "\r\n-----BEGIN-----\r\n +OK\r\n-ERR\r\n"
}

// popSum returns the number of a message and the checksum of what was sent: what a
// server or a client puts before it does not count, nor how lines end.
func popSum(text string) (number int, sum [32]byte, ok bool) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	at := strings.Index(text, "X-Test-Number: ")
	if at < 0 {
		return 0, sum, false
	}
	text = text[at:]
	digits, _, _ := strings.Cut(strings.TrimPrefix(text, "X-Test-Number: "), "\n")
	number, err := strconv.Atoi(digits)
	return number, sha256.Sum256([]byte(text)), err == nil
}

// compare wants just the messages from first to last among the texts.
func (s *popServer) compare(who string, texts []string, first, last int) {
	s.t.Helper()
	seen := map[int]bool{}
	for _, text := range texts {
		number, sum, ok := popSum(text)
		switch {
		case !ok:
			s.t.Errorf("%s: a text without a number: %.200q", who, text)
		case seen[number]:
			s.t.Errorf("%s: message %d came twice", who, number)
		case sum != s.sums[number]:
			s.t.Errorf("%s: message %d is not what was sent: %.300q", who, number, text)
		}
		seen[number] = true
	}
	for i := first; i <= last; i++ {
		if !seen[i] {
			s.t.Errorf("%s: message %d is missing", who, i)
		}
	}
	if want := last - first + 1; len(texts) != want {
		s.t.Errorf("%s: %d messages, want %d", who, len(texts), want)
	}
}

// count returns how many messages a user has.
func (s *popServer) count(user string) string {
	s.t.Helper()
	return converse(s.t, s.clear, "USER "+user+"@isp.example", "PASS "+popPassword, "STAT")
}

// readAll reads and removes the files of a folder.
func readAll(t *testing.T, pattern string) (texts []string) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	return texts
}

// execute runs a client, which must end with one of the codes.
func execute(t *testing.T, dir string, codes []int, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "FETCHMAILHOME="+dir, "XDG_CONFIG_HOME="+dir, "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	for _, code := range codes {
		if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == code {
			return string(out)
		}
	}
	t.Fatalf("%v: %v\n%s", argv, err, out)
	return ""
}
