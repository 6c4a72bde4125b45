package policy_test

import (
	"bytes"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"postrider/internal/mail"
	"postrider/relay/policy"
)

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, s := range texts {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

var (
	stranger = netip.MustParseAddr("203.0.113.9")
	friend   = netip.MustParseAddr("127.0.0.1")
)

func rules() *policy.Rules {
	return policy.New(policy.Options{
		Networks:     prefixes("127.0.0.0/8", "::1/128", "10.0.0.0/8", "10.9.0.0/16"),
		RelayDomains: []string{"Backup.Example"},
		LocalDomains: []string{"local.example", "mx1.local.example"},
	})
}

// What a stranger may write to is decided by the domain of the parsed address
// and by nothing else. Addresses that do not parse never reach the rules: they
// are refused as syntax errors (501, 553).
//
// Covers A1, HO1.
func TestOpenRelayMatrix(t *testing.T) {
	const (
		accept  = 0
		denied  = 550
		refused = -1 // by the parser
	)
	r := rules()
	for _, c := range []struct {
		to   string
		want int
	}{
		{"u@local.example", accept},
		{"U@LOCAL.Example", accept},
		{"u@backup.example", accept},
		{"postmaster@local.example", accept},
		// A server behind this one could read a route out of these.
		{"u%ext.example@local.example", denied},
		{"ext.example!u@local.example", denied},
		{`"u@ext.example"@local.example`, denied},
		{"u%ext.example@backup.example", denied},
		{"ext.example!u@backup.example", denied},
		{`"u@ext.example"@backup.example`, denied},

		{"u@ext.example", denied},
		{"u@sub.local.example", denied},
		{"u@xlocal.example", denied},
		{"u@local.example.ext.example", denied},
		{"u@example", denied},
		{"u@[203.0.113.1]", denied},
		{"u@[127.0.0.1]", denied},
		{"u@[IPv6:::1]", denied},
		{"u%ext.example@[203.0.113.1]", denied},
		{"ext.example!u@[203.0.113.1]", denied},
		{`"u@ext.example"@[203.0.113.1]`, denied},
		{"u%local.example@ext.example", denied},
		{"local.example!u@ext.example", denied},
		{`"u@local.example"@ext.example`, denied},
		{"u@l\u043ecal.example", denied}, // a Cyrillic o

		{"u@local.example.", refused},
		{"u@ext.example@[203.0.113.1]", refused},
		{"u@ext.example@local.example", refused},
		{"@[203.0.113.1]:u@ext.example", refused},
		{"@local.example:u@ext.example", refused},
		{`"u@ext.example"`, refused},
		{`"u%ext.example"`, refused},
		{"ext.example!u", refused},
		{"u@127.1", refused},
		{"u@0x7f000001", denied},
		{"u@2130706433", refused},
		{"u@local.example%00ext.example", refused},
		{"u@local.example\x00.ext.example", refused},
		{"u@ext.example(comment)", refused},
		{"u@local.example(@ext.example)", refused},
		{"u@", refused},
		{"@local.example", refused},
		{"", refused},
	} {
		to, err := mail.ParseAddress([]byte(c.to), true)
		if err != nil {
			if c.want != refused {
				t.Errorf("%q: %v", c.to, err)
			}
			continue
		}
		for _, from := range []netip.Addr{
			stranger, netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("::ffff:203.0.113.9"),
			netip.MustParseAddr("11.0.0.0"), netip.MustParseAddr("9.255.255.255"), netip.MustParseAddr("::2"), netip.MustParseAddr("::"),
		} {
			st := r.Recipient(from, false, false, to)
			if int(st.Code) != c.want {
				t.Errorf("%q from %s: %v, want %d", c.to, from, st, c.want)
			}
			if st := r.Recipient(from, true, false, to); !st.IsZero() {
				t.Errorf("%q from %s after a login: %v", c.to, from, st)
			}
			if with, without := r.Recipient(from, true, true, to), r.Recipient(friend, false, true, to); with.Code != without.Code {
				t.Errorf("%q by LMTP from %s after a login: %v, want %v", c.to, from, with, without)
			}
			if c.want == denied && (st.Enhanced != mail.Enhanced{Class: 5, Subject: 7, Detail: 1}) {
				t.Errorf("%q: %v is not 5.7.1", c.to, st)
			}
		}
		if st := r.Recipient(friend, false, false, to); !st.IsZero() {
			t.Errorf("%q from a trusted client: %v", c.to, st)
		}
		if st := r.Recipient(friend, false, true, to); st.IsZero() != bytes.HasSuffix(to.Domain, []byte("local.example")) && c.want != denied {
			t.Errorf("%q by LMTP: %v", c.to, st)
		}
	}
}

// Trust is the peer's address in the networks, exactly: nothing else is a
// parameter, so no header or command can widen it.
//
// Covers HO2.
func TestNetworksAreExact(t *testing.T) {
	r := rules()
	for text, want := range map[string]bool{
		"127.0.0.1": true, "127.255.255.255": true, "::ffff:127.0.0.1": true, "::1": true, "::1%lo": true,
		"10.0.0.0": true, "10.255.255.255": true, "10.9.1.1": true, "10.10.0.0": true,
		"126.255.255.255": false, "128.0.0.0": false, "9.255.255.255": false, "11.0.0.0": false,
		"::": false, "::2": false, "0.0.0.0": false, "fe80::1": false, "a00::": false, "7f00:1::": false,
	} {
		if got := r.Trusted(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if !r.Trusted(netip.Addr{}) {
		t.Error("a unix socket is not trusted although loopback is")
	}
	if policy.New(policy.Options{Networks: prefixes("10.0.0.0/8")}).Trusted(netip.Addr{}) {
		t.Error("a unix socket is trusted although loopback is not")
	}
	none := policy.New(policy.Options{LocalDomains: []string{""}})
	if none.Trusted(friend) || none.Recipient(stranger, false, false, mail.Address{Local: []byte("u")}).IsZero() {
		t.Error("empty rules let somebody through")
	}
}

func TestTrustedIsTheUnionOfTheNetworks(t *testing.T) {
	address := rapid.Custom(func(t *rapid.T) netip.Addr {
		b := rapid.ByteRange(0, 3)
		if rapid.Bool().Draw(t, "v6") {
			a := [16]byte{0: b.Draw(t, "a"), 15: b.Draw(t, "b")}
			return netip.AddrFrom16(a)
		}
		return netip.AddrFrom4([4]byte{b.Draw(t, "a"), b.Draw(t, "b"), 0, b.Draw(t, "c")})
	})
	rapid.Check(t, func(t *rapid.T) {
		var nets []netip.Prefix
		for range rapid.IntRange(0, 6).Draw(t, "n") {
			a := address.Draw(t, "network")
			nets = append(nets, netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits")).Masked())
		}
		a := address.Draw(t, "client")
		want := false
		for _, p := range nets {
			want = want || p.Contains(a.Unmap())
		}
		if got := policy.New(policy.Options{Networks: nets}).Trusted(a); got != want {
			t.Fatalf("%s in %v: %v", a, nets, got)
		}
	})
}

func TestRecipientDoesNotAllocate(t *testing.T) {
	r := rules()
	to := mail.Address{Local: []byte("u"), Domain: []byte("ext.example")}
	here := mail.Address{Local: []byte("u"), Domain: []byte("local.example")}
	if n := testing.AllocsPerRun(100, func() {
		_ = r.Recipient(stranger, false, false, to)
		_ = r.Recipient(friend, false, false, to)
		_ = r.Recipient(stranger, false, false, here)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
