package maildir

import (
	"slices"
	"strings"

	"postrider/delivery/mailbox"
)

// forwarded is the keyword that means what the flag P does.
const forwarded = "$Forwarded"

// parseFlags reads the flags of a file's name.
func parseFlags(name string, words *[26]string) (flags mailbox.Flags, keywords []string) {
	_, info, ok := strings.Cut(name, ":2,")
	if !ok {
		return 0, nil
	}
	for _, c := range info {
		switch c {
		case 'D':
			flags |= mailbox.FlagDraft
		case 'F':
			flags |= mailbox.FlagFlagged
		case 'R':
			flags |= mailbox.FlagAnswered
		case 'S':
			flags |= mailbox.FlagSeen
		case 'T':
			flags |= mailbox.FlagDeleted
		case 'P':
			if !slices.Contains(keywords, forwarded) {
				keywords = append(keywords, forwarded)
			}
		default:
			if c >= 'a' && c <= 'z' && words[c-'a'] != "" && !slices.Contains(keywords, words[c-'a']) {
				keywords = append(keywords, words[c-'a'])
			}
		}
	}
	return flags, keywords
}

// appendFlags appends the flags as they stand in a name, in ASCII order. Keywords
// without a letter in words have no place there.
func appendFlags(dst []byte, flags mailbox.Flags, keywords []string, words []string) []byte {
	dst = append(dst, ":2,"...)
	for _, f := range [...]struct {
		flag   mailbox.Flags
		letter byte
	}{
		{mailbox.FlagDraft, 'D'}, {mailbox.FlagFlagged, 'F'}, {0, 'P'}, {mailbox.FlagAnswered, 'R'},
		{mailbox.FlagSeen, 'S'}, {mailbox.FlagDeleted, 'T'},
	} {
		if flags&f.flag != 0 || f.flag == 0 && slices.Contains(keywords, forwarded) {
			dst = append(dst, f.letter)
		}
	}
	for i, word := range words {
		if i < 26 && slices.Contains(keywords, word) {
			dst = append(dst, 'a'+byte(i))
		}
	}
	return dst
}
