package imap_test

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"postrider/access/imap"
	"postrider/internal/dialogue"
)

// The transcripts in testdata are the proof of most of what a client can say; each
// names its rows. This test plays them all; with -rewrite it writes what the server
// says into them.
//
// "C:" is a connection at its greeting; "C1:", "C2:" and so on are logged in as
// user, whose mailboxes are new. Besides the directives of package
// dialogue there are:
//
//	-- option WORD...       tls, requiretls, compress, special, disabled=CAPABILITY
//	-- deliver BOX WORD...  a message arrives for each word, which is its subject
//	-- quota BYTES MESSAGES the account has these limits from now on
//	-- mail BOX NAME...     the messages in testdata/mail/NAME.eml arrive
func TestDialogues(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) { playDialogue(t, path) })
	}
}

func playDialogue(t *testing.T, path string) {
	h := newHouse(t, optionsOf(t, path))
	dial := h.serve()
	dialogue.Play(t, path, &dialogue.Options{
		Dial: func(name string) net.Conn {
			if name == "" {
				return dial()
			}
			return login(t, dial(), "").nc
		},
		Do: func(words []string) bool {
			switch {
			case words[0] == "deliver" && len(words) > 2:
				for _, w := range words[2:] {
					h.deliver(words[1], "From: sender@far.example\r\nSubject: "+w+"\r\n\r\nThe text of "+w+".\r\n")
				}
			case words[0] == "mail" && len(words) > 2:
				for _, name := range words[2:] {
					h.deliver(words[1], letter(t, name))
				}
			case words[0] == "quota" && len(words) == 3:
				h.limit(words[1], words[2])
			default:
				return words[0] == "option"
			}
			return true
		},
		Vary: func(line string) string {
			line = capabilities.ReplaceAllString(line, "CAPABILITY $${*}$1")
			line = emailID.ReplaceAllString(line, "EMAILID (M$${*})")
			return varying.ReplaceAllString(line, "$1 $${N}")
		},
	})
}

// capabilities have a transcript of their own.
var capabilities = regexp.MustCompile(`CAPABILITY IMAP4rev1[^]]*(\]|$)`)

var emailID = regexp.MustCompile(`EMAILID \(M[0-9a-z-]+\)`)

// varying is what differs from run to run.
var varying = regexp.MustCompile(`(UIDVALIDITY|APPENDUID|COPYUID) [0-9]+`)

// letter reads a message, whose lines may end as those of the file.
func letter(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "mail", name+".eml"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n", "\r\n")
}

// optionsOf makes the options that a transcript asks for.
func optionsOf(t *testing.T, path string) func(o *imap.Options) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *imap.Options) {
		for line := range strings.Lines(string(text)) {
			words, ok := strings.CutPrefix(line, "-- option ")
			if !ok {
				continue
			}
			for word := range strings.FieldsSeq(words) {
				word, value, _ := strings.Cut(word, "=")
				switch word {
				case "tls":
					o.TLS = func() *tls.Config { return certificate() }
				case "requiretls":
					o.RequireTLS = true
				case "compress":
					o.Compress = true
				case "special":
					o.Special = []string{"Drafts", "Sent", "Junk", "Trash", "Archive"}
				case "disabled":
					o.Disabled = func(string) []string { return strings.Split(value, ",") }
				default:
					t.Fatalf("%s: option %q", path, word)
				}
			}
		}
	}
}
