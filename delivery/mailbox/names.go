package mailbox

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of names. Names never become paths: mailboxes and accounts rest under
// numbers.
const (
	maxNameBytes  = 255
	maxLevels     = 32
	maxMailboxes  = 10_000 // of an account
	maxSubscribed = 10_000
	inbox         = "INBOX"
	separator     = '/'
)

// BoxName returns a mailbox's name as it is kept, or ErrName for what none can have.
func BoxName(name string) (string, error) { return boxName(name) }

// boxName returns a mailbox's name as it is kept: in NFC, with INBOX in capitals.
func boxName(name string) (string, error) {
	name = norm.NFC.String(name)
	if name == "" || len(name) > maxNameBytes || !utf8.ValidString(name) {
		return "", fmt.Errorf("%w: empty, longer than %d octets, or not UTF-8", ErrName, maxNameBytes)
	}
	levels := 0
	for level := range strings.SplitSeq(name, string(separator)) {
		if levels++; levels > maxLevels {
			return "", fmt.Errorf("%w: more than %d levels", ErrName, maxLevels)
		}
		// "." and ".." would be in the way of whoever exports to a file system.
		if level == "" || level == "." || level == ".." {
			return "", fmt.Errorf("%w: a level %q", ErrName, level)
		}
	}
	if err := printable(name); err != nil {
		return "", err
	}
	if len(name) >= len(inbox) && strings.EqualFold(name[:len(inbox)], inbox) && (len(name) == len(inbox) || name[len(inbox)] == separator) {
		name = inbox + name[len(inbox):]
	}
	return name, nil
}

// printable refuses what Net-Unicode does (RFC 5198 section 2), as RFC 9051 section
// 5.1 wants it for mailbox names.
func printable(name string) error {
	for _, r := range name {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff' || r == utf8.RuneError {
			return fmt.Errorf("%w: character %U", ErrName, r)
		}
	}
	return nil
}

// accountName returns an account's name as it is kept.
func accountName(name string) (string, error) {
	if name == "" || len(name) > 2*maxNameBytes || !utf8.ValidString(name) {
		return "", fmt.Errorf("%w: account %q", ErrName, name)
	}
	if err := printable(name); err != nil {
		return "", err
	}
	return name, nil
}
