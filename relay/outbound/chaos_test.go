package outbound_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"postrider/internal/mail"
	"postrider/relay/outbound"
)

// Whatever a server refuses and wherever it breaks off: what is said to be
// delivered was taken, what is said to be refused or untried was not, and only
// what was sent to its end without an answer may be either. Nobody ever gets
// another's text.
// Covers D1, D4, D9, D10, D13, D17.
func TestChaos(t *testing.T) {
	seeds := 300
	if raced {
		seeds = 100
	}
	for seed := range seeds {
		if chaos(t, uint64(seed)); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

type duty struct{ from, to string }

func chaos(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 2))
	w := &witness{lmtp: r.IntN(3) == 0, trouble: chance(seed)}
	for _, o := range []string{"PIPELINING", "CHUNKING", "8BITMIME", "SIZE"} {
		if r.IntN(3) > 0 {
			w.offer = append(w.offer, o)
		}
	}
	t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { // so that its server ends with it
		w.start(t)
		tr := outbound.New(outbound.Options{Timeouts: quick, InFlight: 1 + r.IntN(16)})
		delivered, unknown := map[duty]int{}, map[duty]int{}
		texts := map[string]string{}
		for i := range 30 {
			from := fmt.Sprintf("s%d@x", i)
			body := &text{data: fmt.Appendf(nil, "Subject: %d\r\n\r\n.x\r\n", i), stored: r.IntN(4) == 0}
			if r.IntN(6) == 0 {
				body.data = append(body.data, bytes.Repeat([]byte("..23456789abcde\r\n"), r.IntN(12_000))...)
			}
			texts[from] = string(body.data)
		}
		var list []*mail.Delivery
		for i := range 30 {
			from := fmt.Sprintf("s%d@x", i)
			var to []string
			for n := range 1 + r.IntN(4) {
				to = append(to, fmt.Sprintf("r%d.%d@y", i, n))
			}
			list = append(list, delivery(&text{data: []byte(texts[from]), stored: r.IntN(4) == 0}, from, to...))
		}
		for round := 0; len(list) > 0; round++ {
			if round == 100 {
				t.Fatalf("%d deliveries never get tried", len(list))
			}
			src := newSource(t, list...)
			for before := -1; src.next < len(list) && before < src.next; {
				before = src.next
				_ = tr.Serve(t.Context(), nil, &mail.Egress{Hop: w.hop}, src) // failures show in the outcomes
			}
			src.settled()
			var again []*mail.Delivery
			for _, d := range src.done {
				if left := account(d, delivered, unknown); left != nil {
					again = append(again, left)
				}
			}
			list = append(again, list[src.next:]...)
		}
		compare(t, w, texts, delivered, unknown)
	})
}

// account books the outcomes of d and returns what of it is untried.
func account(d *mail.Delivery, delivered, unknown map[duty]int) *mail.Delivery {
	var to []string
	for i, o := range d.Outcomes {
		k := duty{string(d.Envelope.Sender), string(d.Envelope.Recipients[d.Recipients[i]].Address)}
		switch {
		case o.IsZero():
			to = append(to, k.to)
		case o.OK():
			delivered[k]++
		case d.DotSent && o.Enhanced == (mail.Enhanced{Class: 4, Subject: 4, Detail: 2}), d.DotSent && o.Code == 421:
			unknown[k]++
		}
	}
	if to == nil {
		return nil
	}
	b := d.Body.(*text)
	return delivery(b, string(d.Envelope.Sender), to...)
}

func compare(t *testing.T, w *witness, texts map[string]string, delivered, unknown map[duty]int) {
	got := map[duty]int{}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.taken {
		for _, to := range x.to {
			got[duty{x.from, to}]++
		}
		if x.text != texts[x.from] {
			t.Errorf("from %s: %d bytes of text, not %d", x.from, len(x.text), len(texts[x.from]))
		}
	}
	for k, n := range got {
		if n > delivered[k]+unknown[k] {
			t.Errorf("%v: taken %d times, delivered %d, unknown %d", k, n, delivered[k], unknown[k])
		}
	}
	for k, n := range delivered {
		if got[k] < n || n > 1 {
			t.Errorf("%v: delivered %d times, taken %d", k, n, got[k])
		}
	}
}
