package load

import (
	"strings"
	"testing"
)

// What is drawn has the distribution that was asked for.
func TestDraws(t *testing.T) {
	const n = 200_000
	sizes, err := ParseSizes("lognormal:median=10k,p99=100k")
	if err != nil {
		t.Fatal(err)
	}
	below10, below100, most := 0, 0, 0
	for i := range uint64(n) {
		b := sizes.draw(draw(1, i, drawSize))
		most = max(most, b)
		if b < 10<<10 {
			below10++
		}
		if b < 100<<10 {
			below100++
		}
	}
	if near(below10, n/2, 0.02) && near(below100, n*99/100, 0.002) && most <= 800<<10 && most > 400<<10 {
		return
	}
	t.Errorf("%d below the median, %d below p99, largest %d", below10, below100, most)
}

func near(got, want int, off float64) bool {
	return float64(got) > float64(want)*(1-off) && float64(got) < float64(want)*(1+off)
}

func TestZipf(t *testing.T) {
	const n = 300_000
	d, err := ParseDomains("zipf:n=100,s=1")
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRecipients("zipf:n=3,s=1")
	if err != nil {
		t.Fatal(err)
	}
	var domains [100]int
	var recipients [4]int
	for i := range uint64(n) {
		domains[d.draw(1, i, 0)]++
		recipients[r.draw(draw(1, i, drawRecipients))]++
	}
	// The sum of 1/k up to 100 is 5.187, up to 3 1.833.
	if !near(domains[0], n*1000/5187, 0.05) || !near(domains[1], n*1000/5187/2, 0.05) || !near(domains[99], n*10/5187, 0.3) {
		t.Errorf("%v", domains)
	}
	if !near(recipients[1], n*1000/1833, 0.05) || !near(recipients[3], n*1000/1833/3, 0.05) || recipients[0] != 0 {
		t.Errorf("%v", recipients)
	}
}

func TestHistogram(t *testing.T) {
	spans, weights, err := parseHistogram(strings.NewReader("1k-2k 3 # most\n\n4k 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := newSizes(spans, weights)
	small, large := 0, 0
	for i := range uint64(40_000) {
		switch b := s.draw(draw(1, i, drawSize)); {
		case b >= 1<<10 && b <= 2<<10:
			small++
		case b == 4<<10:
			large++
		default:
			t.Fatal(b)
		}
	}
	if !near(small, 30_000, 0.03) || !near(large, 10_000, 0.05) {
		t.Error(small, large)
	}
	for _, bad := range []string{"", "1k", "2k-1k 1", "1k 0", "x 1", "1-2-3 1"} {
		if _, _, err := parseHistogram(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestNetworks(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:25": true, "10.1.2.3:25": true, "192.168.0.1:25": true, "[::1]:25": true, "[fd00::1]:25": true, "unix:/x": true, "0.0.0.0:25": true,
		"mail.example:25": true, "192.0.2.1:25": false, "8.8.8.8:25": false, "[2001:db8::1]:25": false, "172.32.0.1:25": false, "127.0.0.1": false,
	} {
		_, err := New(Options{Address: address, Messages: 1})
		if (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
		if _, err := New(Options{Address: address, Messages: 1, IOwnThisNetwork: true}); err != nil {
			t.Errorf("%s owned: %v", address, err)
		}
	}
	// A name that turns out to be elsewhere is refused when it is dialled.
	for address, ok := range map[string]bool{"127.0.0.1:25": true, "192.0.2.1:25": false, "[2001:db8::1]:25": false, "[::ffff:192.0.2.1]:25": false, "x": false} {
		if err := control("tcp4", address, nil); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}
