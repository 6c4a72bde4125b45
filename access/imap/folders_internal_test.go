package imap

import (
	"testing"

	"postrider/access/imapwire"
)

// FuzzArguments takes apart the arguments of LIST, STATUS, GETMETADATA and NOTIFY.
func FuzzArguments(f *testing.F) {
	for _, seed := range []string{
		"(SUBSCRIBED RECURSIVEMATCH)", "RETURN (STATUS (MESSAGES SIZE) METADATA (/private/a /shared/b) CHILDREN)",
		"(MESSAGES UIDNEXT)", "(DEPTH infinity MAXSIZE 10) ", "(/private/a \"/shared/b\")",
		"(selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (From \"To\")]) MessageExpunge FlagChange)) (subtree (a b) (MailboxName))",
		"(personal NONE)", "(\\Seen \\Recent $x)",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, take := range []func(d *imapwire.Decoder) bool{
			func(d *imapwire.Decoder) bool { return new(listing).selection(d) },
			func(d *imapwire.Decoder) bool { return new(session).returns(d, new(listReturn)) },
			func(d *imapwire.Decoder) bool { _, good := takeStatusItems(d); return good },
			func(d *imapwire.Decoder) bool { return new(metadataWanted).options(d) },
			func(d *imapwire.Decoder) bool { return new(metadataWanted).entries(d) },
			func(d *imapwire.Decoder) bool { return new(appended).takeFlags(d) },
		} {
			var d imapwire.Decoder
			d.Reset(append([]byte(nil), b...))
			if take(&d) && d.Offset() == 0 && len(b) > 0 && b[0] == '(' {
				t.Error("nothing was taken")
			}
		}
		c := &command{}
		c.d.Reset(append([]byte{' '}, b...))
		n := &notifying{}
		c.d.SP()
		if r := new(session).notifyGroups(c, n); r.good() && len(n.groups) > maxNotifyGroups {
			t.Errorf("%d groups", len(n.groups))
		}
	})
}
