package dnstest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"postrider/internal/dns/dnstest"
)

// A bomb is as large as it was asked for, and what TCP can't carry is truncated.
func TestBomb(t *testing.T) {
	s := start(t, dnstest.Options{})
	s.AddBomb("bomb.test", 500, 50, 20)
	m, err := ask(t, s, "tcp", "bomb.test", dns.TypeMX)
	if err != nil || len(m.Answer) != 500 {
		t.Fatalf("%v, %v", m, err)
	}
	if m, err = ask(t, s, "tcp", "x499.bomb.test", dns.TypeA); err != nil || len(m.Answer) != 70 {
		t.Fatalf("%v, %v", m, err)
	}
	for i := range 300 {
		s.AddTXT("big.test", fmt.Sprint(i, strings.Repeat("x", 250)))
	}
	if m, err = ask(t, s, "tcp", "big.test", dns.TypeTXT); err != nil || !m.Truncated {
		t.Fatalf("%v, %v", m, err)
	}
}
