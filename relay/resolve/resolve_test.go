package resolve_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/mail"
	"postrider/relay/aliases"
	"postrider/relay/policy"
	"postrider/relay/resolve"
	"postrider/relay/route"
	"postrider/relay/srs"
)

const aliasFile = `
alice@alias.example:  alice@else.example
team@alias.example:   alice, bob@mail.example, carol@relay.example
loop@alias.example:   back
back@alias.example:   loop
half@alias.example:   back, bob@mail.example
broken@alias.example: bob@mail.example, x@closed.example
keep@mail.example:    keep, away@else.example
sales@relay.example:  bob@mail.example
`

var (
	trusted  = netip.MustParseAddr("10.0.0.1")
	stranger = netip.MustParseAddr("192.0.2.1")
	noon     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// rules are those of a system with aliases only at alias.example, mailboxes behind
// mail.example, and no way yet to what is local at empty.example.
func rules(t testing.TB) *resolve.Rules {
	t.Helper()
	local, relayed := []string{"alias.example", "mail.example", "empty.example"}, []string{"relay.example"}
	path := filepath.Join(t.TempDir(), "aliases")
	if err := os.WriteFile(path, []byte(aliasFile), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := aliases.Open(path, aliases.Options{Local: local, Relay: relayed})
	if err != nil {
		t.Fatal(err)
	}
	rewriter, err := srs.New(srs.Options{Domain: "srs.example", Secrets: []string{"a secret of this test"}, Clock: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	return &resolve.Rules{
		Access: policy.New(policy.Options{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, LocalDomains: local, RelayDomains: relayed}),
		Routes: route.New(route.Options{Local: local, Rules: []route.Rule{
			{Domain: "mail.example", Hop: mail.Hop{Kind: mail.HopLMTP, Network: "tcp", Address: "127.0.0.1:24"}},
			{Domain: "closed.example", Hop: mail.Hop{Kind: mail.HopReject}},
			{Domain: "picky.example", Sender: "spam.example", Hop: mail.Hop{Kind: mail.HopReject}},
		}}),
		Aliases: file,
		SRS:     rewriter,
	}
}

// ask resolves an address and writes the answer down: recipients with ">" before
// those that are forwarded, or the refusal.
func ask(t testing.TB, r *resolve.Rules, client netip.Addr, localOnly bool, sender, address string, a *resolve.Answer) string {
	t.Helper()
	q := resolve.Request{Env: &mail.Envelope{Client: client, Sender: []byte(sender)}, LocalOnly: localOnly}
	if address == "postmaster" {
		q.To = mail.Address{Local: []byte("PostMaster")}
	} else {
		to, err := mail.ParseAddress([]byte(address), true)
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		q.To = to
	}
	if s := r.Recipient(t.Context(), &q, a); !s.IsZero() {
		return fmt.Sprintf("%d %d.%d.%d", s.Code, s.Enhanced.Class, s.Enhanced.Subject, s.Enhanced.Detail)
	}
	var list []string
	for _, x := range a.Recipients {
		mark := ""
		if x.Forwarded {
			mark = ">"
		}
		list = append(list, mark+string(x.Address))
	}
	return strings.Join(list, " ")
}

// Covers HB2, HL1, M6.
func TestRecipients(t *testing.T) {
	r := rules(t)
	var a resolve.Answer
	for _, m := range []struct {
		client  netip.Addr
		address string
		want    string
	}{
		{stranger, "alice@alias.example", ">alice@else.example"},
		{stranger, "ALICE+tag@alias.example", ">alice+tag@else.example"},
		{stranger, "team@alias.example", ">alice@else.example bob@mail.example >carol@relay.example"},
		{stranger, "nobody@alias.example", "550 5.1.1"}, // refused, not bounced
		{trusted, "nobody@alias.example", "550 5.1.1"},
		{stranger, "alice@else.example", "550 5.7.1"},
		{trusted, "alice@else.example", "alice@else.example"},
		{trusted, "bob@closed.example", "550 5.7.1"},
		{stranger, "bob@mail.example", "bob@mail.example"}, // whether he exists is known behind
		{stranger, "keep@mail.example", "keep@mail.example >away@else.example"},
		{stranger, "sales@relay.example", "bob@mail.example"},
		{stranger, "other@relay.example", "other@relay.example"},
		{stranger, "bob@empty.example", "451 4.3.5"},
		{stranger, "loop@alias.example", "554 5.4.6"},
		{stranger, "half@alias.example", "bob@mail.example"},
		{stranger, "broken@alias.example", "550 5.7.1"}, // the whole alias, never a part
		{stranger, "postmaster", "postmaster"},
		{stranger, "postmaster@alias.example", "postmaster"},
		{stranger, "Postmaster@empty.example", "postmaster"},
		{stranger, "postmaster@srs.example", "postmaster"},
		{stranger, "postmaster@mail.example", "postmaster@mail.example"},
		{stranger, "postmaster@else.example", "550 5.7.1"},
		{stranger, "bob@srs.example", "550 5.7.1"},
	} {
		if got := ask(t, r, m.client, false, "s@sender.example", m.address, &a); got != m.want {
			t.Errorf("%s: %s, want %s", m.address, got, m.want)
		}
		if aliased := strings.Contains(aliasFile, strings.ToLower(strings.Replace(m.address, "+tag", "", 1))+":") && !strings.Contains(m.want, " 5."); a.Aliased != aliased {
			t.Errorf("%s: aliased %v", m.address, a.Aliased)
		}
		if cut := m.address == "loop@alias.example" || m.address == "half@alias.example"; (a.Cycle != "") != cut {
			t.Errorf("%s: cut at %q", m.address, a.Cycle)
		}
	}
}

func TestWithoutResolver(t *testing.T) {
	r := rules(t)
	r.NoMX = true
	var a resolve.Answer
	for address, want := range map[string]string{"x@else.example": "451 4.3.5", "alice@alias.example": "451 4.3.5", "bob@mail.example": "bob@mail.example"} {
		if got := ask(t, r, trusted, false, "s@sender.example", address, &a); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// A rule that depends on the sender is asked with the sender.
//
// Covers T3.
func TestARuleForTheSender(t *testing.T) {
	r := rules(t)
	var a resolve.Answer
	for sender, want := range map[string]string{"s@spam.example": "550 5.7.1", "s@good.example": "x@picky.example", "": "x@picky.example"} {
		if got := ask(t, r, trusted, false, sender, "x@picky.example", &a); got != want {
			t.Errorf("%q: %s, want %s", sender, got, want)
		}
	}
}

func TestPostmasterHasAnAddress(t *testing.T) {
	r := rules(t)
	var a resolve.Answer
	for address, want := range map[string]string{
		"bob@mail.example":         "bob@mail.example",
		"team@alias.example":       ">alice@else.example bob@mail.example >carol@relay.example",
		"postmaster@alias.example": "postmaster",
		"nobody@alias.example":     "postmaster", // held rather than lost
		"x@closed.example":         "postmaster",
		"op@else.example":          "op@else.example",
	} {
		r.Postmaster = []byte(address)
		for _, to := range []string{"postmaster", "postmaster@alias.example"} {
			if got := ask(t, r, stranger, false, "", to, &a); got != want {
				t.Errorf("%s for %s: %s, want %s", address, to, got, want)
			}
		}
		if string(r.Postmaster) != address {
			t.Errorf("%s became %s", address, r.Postmaster)
		}
	}
}

// A bounce finds its way back through the address that we gave, and nobody else
// gets anywhere by it.
//
// Covers M6.
func TestBouncesComeBack(t *testing.T) {
	r := rules(t)
	var a resolve.Answer
	sender, err := r.Sender(nil, []byte("author@far.example"), noon)
	if err != nil || !strings.HasPrefix(string(sender), "SRS0=") || !strings.HasSuffix(string(sender), "@srs.example") {
		t.Fatalf("%s, %v", sender, err)
	}
	if got := ask(t, r, stranger, false, "", string(sender), &a); got != ">author@far.example" {
		t.Errorf("came back to %s", got)
	}
	for what, address := range map[string]string{
		"forged":     strings.Replace(string(sender), "author", "victim", 1),
		"incomplete": "SRS0=abc@srs.example",
		"guessed":    "SRS1=abcdef=far.example==abcd=AA=victim.example=x@srs.example",
	} {
		for _, client := range []netip.Addr{stranger, trusted} {
			if got := ask(t, r, client, false, "", address, &a); got != "550 5.7.1" {
				t.Errorf("%s: %s", what, got)
			}
		}
	}
	if got := ask(t, r, stranger, true, "", string(sender), &a); got != "550 5.7.1" {
		t.Errorf("by LMTP: %s", got)
	}
	r.SRS = nil
	if got := ask(t, r, stranger, false, "", string(sender), &a); got != "550 5.7.1" {
		t.Errorf("without SRS: %s", got)
	}
}

// Covers M6.
func TestSender(t *testing.T) {
	r := rules(t)
	long := strings.Repeat("x", 50) + "@far.example"
	for sender, want := range map[string]string{
		"":                   "",
		"alice@mail.example": "alice@mail.example", // our own servers may send for it
		long:                 long,
	} {
		got, err := r.Sender(nil, []byte(sender), noon)
		if string(got) != want || (err != nil) != (sender == long) {
			t.Errorf("%q: %s, %v", sender, got, err)
		}
	}
	r.SRS = nil
	if got, err := r.Sender(nil, []byte("a@far.example"), noon); string(got) != "a@far.example" || err != nil {
		t.Errorf("without SRS: %s, %v", got, err)
	}
}

// A message that an alias has sent on is known when it comes back.
//
// Covers HL1.
func TestTrace(t *testing.T) {
	var trace resolve.Trace
	trace.Add([]byte("alice@alias.example"))
	field := string(trace.AppendField(nil, 1))
	if field != "Delivered-To: alice@alias.example\r\n" {
		t.Errorf("field %q", field)
	}
	if got := trace.AppendField(nil, 2); len(got) > 0 {
		t.Errorf("a blind copy is told of: %s", got)
	}
	for value, loop := range map[string]bool{
		"alice@alias.example": true, "<Alice@Alias.example>": true,
		"": false, "alice@else.example": false, "lice@alias.example": false, "alice@alias.example\n": false,
	} {
		if s := trace.DeliveredTo([]byte(value)); (s.Code == 554) != loop || loop && s.Enhanced != (mail.Enhanced{Class: 5, Subject: 4, Detail: 6}) {
			t.Errorf("%q: %v", value, s)
		}
	}
	trace.Add([]byte("bob@alias.example"))
	if got := trace.AppendField(nil, 1); len(got) > 0 {
		t.Errorf("one of two aliases is named: %s", got)
	}
	if s := trace.DeliveredTo([]byte("bob@alias.example")); s.Code != 554 {
		t.Errorf("the second name: %v", s)
	}
	trace.Reset()
	if s := trace.DeliveredTo([]byte("bob@alias.example")); !s.IsZero() {
		t.Errorf("after Reset: %v", s)
	}
}

func TestAPlainRecipientDoesNotAllocate(t *testing.T) {
	r := rules(t)
	q := resolve.Request{
		Env: &mail.Envelope{Client: trusted, Sender: []byte("s@sender.example")},
		To:  mail.Address{Local: []byte("someone"), Domain: []byte("far.example")},
	}
	var a resolve.Answer
	r.Recipient(t.Context(), &q, &a)
	if n := testing.AllocsPerRun(100, func() {
		if s := r.Recipient(t.Context(), &q, &a); !s.IsZero() || len(a.Recipients) != 1 {
			t.Errorf("%v", s)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
