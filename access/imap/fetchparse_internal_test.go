package imap

import (
	"fmt"
	"strings"
	"testing"

	"postrider/access/imapwire"
)

// described says what a plan holds.
func (p *fetchPlan) described() string {
	var b strings.Builder
	for _, i := range p.items {
		fmt.Fprintf(&b, "%d%s ", i.kind, i.label)
		if i.partial {
			fmt.Fprintf(&b, "(%d) ", i.count)
		}
	}
	if p.seen {
		b.WriteString("seen ")
	}
	if p.modified {
		fmt.Fprintf(&b, "since %d ", p.changedSince)
	}
	if p.vanished {
		b.WriteString("vanished ")
	}
	if p.paged {
		fmt.Fprintf(&b, "%d to %d ", p.pageFrom, p.pageTo)
	}
	return strings.TrimSpace(b.String())
}

func TestFetchPlan(t *testing.T) {
	many := strings.Repeat("BODY[1] ", 4000) + "UID"
	for _, test := range []struct{ in, want string }{
		{"FLAGS", "0"},
		{"fast", "0 4 3"},
		{"ALL", "0 4 3 8"},
		{"FULL", "0 4 3 8 9"},
		{"(FLAGS UID flags)", "0 1"},
		{"BODY", "9"},
		{"(BODYSTRUCTURE MODSEQ SAVEDATE EMAILID THREADID PREVIEW)", "10 2 5 6 7 11"},
		{"PREVIEW (LAZY)", "11"},
		{"(PREVIEW (LAZY) UID)", "11 1"},
		{"BODY[]", "12BODY[]  seen"},
		{"BODY.PEEK[]<0.2048>", "12BODY[]<0>  (2048)"},
		{"(BODY.PEEK[] BODY[])", "12BODY[]  seen"},
		{"BODY.PEEK[1.2.header.fields.not (From \"To\")]", "12BODY[1.2.HEADER.FIELDS.NOT (From To)]"},
		{"BODY.PEEK[4.2.2.1]", "12BODY[4.2.2.1]"},
		{"BODY.PEEK[4.1.MIME]", "12BODY[4.1.MIME]"},
		{"BINARY.PEEK[1]<3.4>", "13BINARY[1]<3>  (4)"},
		{"BINARY.SIZE[2.1]", "14BINARY.SIZE[2.1]"},
		{"RFC822.PEEK", "12RFC822"},
		{"(RFC822.HEADER RFC822.TEXT)", "12RFC822.HEADER  12RFC822.TEXT  seen"},
		{"FLAGS (CHANGEDSINCE 12345)", "0 since 12345"},
		{"(UID FLAGS) (CHANGEDSINCE 1 VANISHED)", "1 0 since 1 vanished"},
		{"UID (PARTIAL -1:-100)", "1 -1 to -100"},
		{"(" + many + ")", "12BODY[1]  1 seen"},
		{"UID (PARTIAL 23500:24000)", "1 23500 to 24000"},
	} {
		var d imapwire.Decoder
		d.Reset([]byte(test.in))
		var p fetchPlan
		if !p.parse(&d) || p.described() != test.want {
			t.Errorf("%.60s: %.200q, want %q", test.in, p.described(), test.want)
		}
	}
}

// Covers HI2.
func TestFetchPlanRefuses(t *testing.T) {
	var numbers, fields strings.Builder
	for i := range maxFetchItems + 1 {
		fmt.Fprintf(&numbers, "BODY[%d] ", i+1)
		fmt.Fprintf(&fields, "X-%d ", i)
	}
	for _, in := range []string{
		"", " ", "()", "(FLAGS", "FLAGS)", "(FLAGS  UID)", "( FLAGS)", "(FLAGS )", "NONSENSE", "(ALL FLAGS)", "(FLAGS FAST)", "FLAGS UID",
		"BODY[", "BODY[]<", "BODY[]<0>", "BODY[]<0.0>", "BODY[]<-1.5>", "BODY[]<0.99999999999999999999>", "BODY[0]", "BODY[01]", "BODY[1.]", "BODY[.1]",
		"BODY[4294967296]", "BODY[MIME]", "BODY[1.FOO]", "BODY[HEADER.FIELDS]", "BODY[HEADER.FIELDS ()]", "BODY[HEADER.FIELDS (From]", "BODY[HEADER.FIELDS (\"a b\")]",
		"BODY[HEADER.FIELDS (From )]", "BINARY[HEADER]", "BINARY.SIZE[1]<0.1>", "BODYSTRUCTURE[1]", "RFC822.SIZE[]", "PREVIEW (FAST)", "PREVIEW ()",
		"FLAGS (CHANGEDSINCE)", "FLAGS (CHANGEDSINCE x)", "FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 1)", "FLAGS ()", "FLAGS (OTHER)", "UID (PARTIAL 1:-1)", "UID (PARTIAL 0:1)",
		"UID (PARTIAL 1)", "(" + numbers.String() + "UID)", "BODY[HEADER.FIELDS (" + fields.String() + "To)]", strings.Repeat("(", 70_000),
	} {
		var d imapwire.Decoder
		d.Reset([]byte(in))
		var p fetchPlan
		if p.parse(&d) {
			t.Errorf("%.60q is taken for %q", in, p.described())
		}
	}
}

// FuzzFetchPlan sees that what is accepted stays within its caps, and reads the same
// when it is read again.
func FuzzFetchPlan(f *testing.F) {
	for _, s := range []string{"(FLAGS BODY[1.2.HEADER.FIELDS (A \"b\" {1}\r\nc)]<1.2>)", "ALL", "BINARY.SIZE[1] (CHANGEDSINCE 4 VANISHED PARTIAL 1:2)", "PREVIEW (LAZY)"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var d imapwire.Decoder
		var p, again fetchPlan
		d.Reset(append([]byte(nil), in...))
		good := p.parse(&d)
		if len(p.items) > maxFetchItems || p.fields > maxFetchFields || good && len(p.items) == 0 {
			t.Errorf("%q gives %d items, %d fields", in, len(p.items), p.fields)
		}
		d.Reset(append([]byte(nil), in...))
		if again.parse(&d) != good || again.described() != p.described() {
			t.Errorf("%q: %q and %q", in, p.described(), again.described())
		}
	})
}
