package aliases_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/mail"
	"postrider/relay/aliases"
)

var ours = aliases.Options{Local: []string{"Local.example", "two.example"}, Relay: []string{"relay.example"}}

func table(t testing.TB, text string) *aliases.Table {
	t.Helper()
	a, err := aliases.Parse("aliases", []byte(text), ours)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// expand returns the targets of an address, separated by spaces.
func expand(t testing.TB, a *aliases.Table, text string, r aliases.Recipient) (string, aliases.Expansion, bool, mail.Status) {
	t.Helper()
	to, err := mail.ParseAddress([]byte(text), true)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	r.Address = to.AppendText(nil)
	var x aliases.Expansion
	found, s := a.Expand(to, r, &x)
	var list []string
	for _, r := range x.Recipients {
		list = append(list, string(r.Address))
	}
	return strings.Join(list, " "), x, found, s
}

const example = `
# Names of this system.
info@local.example:   alice, Bob@Else.example ,
	"front desk"@local.example
"Front Desk"@local.example carol
Alice@local.example:  alice, alice+copy@else.example
@two.example:         @local.example
@relay.example:       catch@else.example
exact@relay.example:  exact@relay.example
abuse:                info
abuse@two.example:    two-abuse@else.example
list+owner@local.example: owner@else.example
list@local.example:   member@else.example, x+y@else.example
π@local.example:      ρ@else.example
`

// Covers M6.
func TestExpand(t *testing.T) {
	a := table(t, example)
	for _, m := range []struct{ address, want string }{
		{"info@local.example", "alice@local.example alice+copy@else.example Bob@else.example carol@local.example"},
		{"INFO@LOCAL.example", "alice@local.example alice+copy@else.example Bob@else.example carol@local.example"},
		{`"front desk"@local.example`, "carol@local.example"},
		{"alice@local.example", "alice@local.example alice+copy@else.example"},
		{"alice+tag@local.example", "alice+tag@local.example alice+copy@else.example"}, // a target with a tag keeps its own
		{"list+tag@local.example", "member+tag@else.example x+y@else.example"},
		{"list+owner@local.example", "owner@else.example"},
		{"list+owner+more@local.example", "member+owner+more@else.example x+y@else.example"},
		{"Zoe+tag@two.example", "Zoe+tag@local.example"},
		{"info@two.example", "alice@local.example alice+copy@else.example Bob@else.example carol@local.example"},
		{"anyone+tag@relay.example", "catch@else.example"},
		{"exact@relay.example", "exact@relay.example"},
		{"abuse@local.example", "alice@local.example alice+copy@else.example Bob@else.example carol@local.example"},
		{"abuse@two.example", "two-abuse@else.example"},
		{"abuse@relay.example", "catch@else.example"}, // a name alone is for local domains
		{"π@local.example", "ρ@else.example"},
		{"+@local.example", ""},
		{"nobody@local.example", ""},
		{"alice@else.example", ""},
		{"info@[192.0.2.1]", ""},
	} {
		got, _, found, s := expand(t, a, m.address, aliases.Recipient{})
		if !s.IsZero() || got != m.want || found != (m.want != "") {
			t.Errorf("%s: %s (%v, %v); want %s", m.address, got, found, s, m.want)
		}
	}
	for domain, want := range map[string]bool{"local.example": true, "two.example": true, "relay.example": true, "else.example": false} {
		if a.Has([]byte(domain)) != want {
			t.Errorf("%s: %v", domain, !want)
		}
	}
	var none *aliases.Table
	if none.Has([]byte("local.example")) || none.Len() != 0 {
		t.Error("no table has aliases")
	}
	if _, _, found, s := expand(t, none, "a@local.example", aliases.Recipient{}); found || !s.IsZero() {
		t.Error("no table expands")
	}
}

// Cycles are cut where they close; what hangs on them still gets the mail.
//
// Covers HL1.
func TestCycles(t *testing.T) {
	a := table(t, `
self@local.example:  self
pair@local.example:  other
other@local.example: pair
a@local.example:     b, x@else.example
b@local.example:     c
c@local.example:     a, y@else.example
grow@local.example:  more+1
more@local.example:  grow+2
@relay.example:      @two.example
@two.example:        @relay.example
twice@local.example: b, c, B, x@else.example
`)
	for _, m := range []struct {
		address, want string
		cut           bool
		code          uint16
	}{
		{"self@local.example", "self@local.example", false, 0},
		{"pair@local.example", "", true, 554},
		{"a@local.example", "y@else.example x@else.example", true, 0},
		{"grow@local.example", "", true, 554},
		{"who@two.example", "", true, 554},
		{"twice@local.example", "x@else.example y@else.example", true, 0},
	} {
		got, x, found, s := expand(t, a, m.address, aliases.Recipient{})
		if got != m.want || !found || (x.Cycle != "") != m.cut || uint16(s.Code) != m.code {
			t.Errorf("%s: %s, %v, cut at %q", m.address, got, s, x.Cycle)
		}
		if m.code != 0 && s.Enhanced != (mail.Enhanced{Class: 5, Subject: 4, Detail: 6}) {
			t.Errorf("%s: %v", m.address, s.Enhanced)
		}
	}
}

// An expansion is whole or none.
func TestBounds(t *testing.T) {
	var b strings.Builder
	for i := range 12 { // d0 to d11 are eleven steps
		fmt.Fprintf(&b, "d%d: d%d\n", i, i+1)
	}
	for i := range 1000 { // each of ten has a hundred and one, most of them shared
		fmt.Fprintf(&b, "m%d: n%d@else.example\n", i, i)
	}
	fmt.Fprint(&b, "full: m0")
	for i := range 999 {
		fmt.Fprintf(&b, ", m%d", i+1)
	}
	fmt.Fprint(&b, "\nover: full, one@else.example, two@else.example\nwide: full, full, m7\n")
	a := table(t, b.String())
	for address, want := range map[string]int{"d2": 1, "d1": 0, "full": 1000, "over": 0, "wide": 1000} {
		_, x, found, s := expand(t, a, address+"@local.example", aliases.Recipient{})
		if want == 0 && (s.Code != 451 || !found) || want > 0 && (!s.IsZero() || len(x.Recipients) != want) {
			t.Errorf("%s: %d, %v", address, len(x.Recipients), s)
		}
	}
}

// What the sender asked for goes on with an alias of one target; with several he is
// told of the expansion and not of the success of each.
func TestNotices(t *testing.T) {
	a := table(t, "one: x@else.example\ntwo: x@else.example, y@else.example\nπ: x@else.example\n")
	for _, m := range []struct {
		address  string
		notify   mail.Notify
		original string

		wantNotify   mail.Notify
		wantOriginal string
		expanded     bool
	}{
		{"one", 0, "", 0, "rfc822;one@local.example", false},
		{"one+a=b", mail.NotifySuccess, "", mail.NotifySuccess, "rfc822;one+2Ba+3Db@local.example", false},
		{"one", mail.NotifySuccess | mail.NotifyFailure, "rfc822;first@x.example", mail.NotifySuccess | mail.NotifyFailure, "rfc822;first@x.example", false},
		{"two", mail.NotifySuccess | mail.NotifyFailure, "", mail.NotifyFailure, "rfc822;two@local.example", true},
		{"two", mail.NotifySuccess, "", mail.NotifyNever, "rfc822;two@local.example", true},
		{"two", mail.NotifyNever, "", mail.NotifyNever, "rfc822;two@local.example", false},
		{"two", 0, "", 0, "rfc822;two@local.example", false},
		{"π+a", 0, "", 0, `utf-8;\x{3C0}\x{2B}a@local.example`, false},
	} {
		_, x, _, s := expand(t, a, m.address+"@local.example", aliases.Recipient{Notify: m.notify, Original: []byte(m.original)})
		if !s.IsZero() || x.Expanded != m.expanded || len(x.Recipients) == 0 {
			t.Errorf("%s: %v, %+v", m.address, s, x)
		}
		for _, r := range x.Recipients {
			if r.Notify != m.wantNotify || string(r.Original) != m.wantOriginal {
				t.Errorf("%s: NOTIFY %d ORCPT %s; want %d %s", m.address, r.Notify, r.Original, m.wantNotify, m.wantOriginal)
			}
		}
	}
}

func TestErrorsHaveLines(t *testing.T) {
	_, err := aliases.Parse("f", []byte(`  early
good: a@b.example

good:  b@b.example
foreign@else.example: a@b.example
none:
piped: |/bin/sh
filed: a,
   /var/mail/x
included: :include:/etc/list
two words: a b
quoted: "a
: x
broken@@local.example: x
.dot: x
`), ours)
	if err == nil {
		t.Fatal("taken")
	}
	var got []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		got = append(got, strings.Join(strings.SplitN(line, ":", 3)[:2], ":"))
	}
	if want := "f:1 f:4 f:5 f:6 f:7 f:8 f:10 f:11 f:12 f:13 f:14 f:15"; strings.Join(got, " ") != want {
		t.Errorf("got %s\nwant %s\n%v", strings.Join(got, " "), want, err)
	}
	if _, err := aliases.Parse("f", []byte("name: a@b.example\n"), aliases.Options{Relay: []string{"r.example"}}); err == nil {
		t.Error("a key without a domain is taken though there is no local domain")
	}
}

// A changed file is taken up once it has settled; a bad one leaves the old table.
func TestRefresh(t *testing.T) {
	path := filepath.Join(t.TempDir(), "aliases")
	moment := time.Unix(1_800_000_000, 0)
	write := func(text string) {
		t.Helper()
		moment = moment.Add(time.Second)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, moment, moment); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := aliases.Open(path, ours); err == nil {
		t.Fatal("a file that is not there was opened")
	}
	write("a: one@else.example\n")
	f, err := aliases.Open(path, ours)
	if err != nil {
		t.Fatal(err)
	}
	step := func(what string, changed, failed bool, want string) {
		t.Helper()
		did, err := f.Refresh()
		if did != changed || (err != nil) != failed {
			t.Errorf("%s: changed %v, %v", what, did, err)
		}
		if got, _, _, _ := expand(t, f.Table(), "a@local.example", aliases.Recipient{}); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	step("nothing new", false, false, "one@else.example")
	write("a: two@else.example\n")
	step("just written", false, false, "one@else.example")
	step("settled", true, false, "two@else.example")
	write("a: |bad\n")
	step("bad, just written", false, false, "two@else.example")
	step("bad", false, true, "two@else.example")
	step("still bad", false, false, "two@else.example")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	step("gone", false, true, "two@else.example")
	step("still gone", false, false, "two@else.example")
	write("a: three@else.example\n")
	step("back", false, false, "two@else.example")
	step("back and settled", true, false, "three@else.example")
	var none *aliases.File
	if none.Table() != nil {
		t.Error("no file has a table")
	}
}

func TestAnAddressThatIsNoAliasDoesNotAllocate(t *testing.T) {
	a := table(t, example)
	to := mail.Address{Local: []byte("nobody.in+particular"), Domain: []byte("local.example")}
	r := aliases.Recipient{Address: to.AppendText(nil)}
	var x aliases.Expansion
	if n := testing.AllocsPerRun(100, func() {
		if found, _ := a.Expand(to, r, &x); found {
			t.Error("found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever the file, the answer is a table or errors with lines in it; and whatever
// is looked up, the answer is bounded and made of addresses.
func FuzzParse(f *testing.F) {
	f.Add([]byte(example), "info@local.example")
	f.Add([]byte("a: b\nb: a\n@two.example: @local.example\n"), "a@two.example")
	f.Add([]byte(`"a\"b": "c,d"@else.example, e`), `"a\"b"@local.example`)
	f.Fuzz(func(t *testing.T, text []byte, address string) {
		a, err := aliases.Parse("f", text, ours)
		if err != nil {
			lines := strings.Count(string(text), "\n") + 1
			for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
				if e := e.(*aliases.Error); e.Line < 1 || e.Line > lines || e.Message == "" {
					t.Fatalf("%#v", e)
				}
			}
			return
		}
		to, err := mail.ParseAddress([]byte(address), true)
		if err != nil {
			return
		}
		var x aliases.Expansion
		found, s := a.Expand(to, aliases.Recipient{Address: to.AppendText(nil)}, &x)
		if found && s.IsZero() && (len(x.Recipients) == 0 || len(x.Recipients) > 1000) {
			t.Fatalf("%d targets", len(x.Recipients))
		}
		for _, r := range x.Recipients {
			if _, err := mail.ParseAddress(append([]byte(nil), r.Address...), true); s.IsZero() && err != nil {
				t.Fatalf("%q: %v", r.Address, err)
			}
		}
	})
}
