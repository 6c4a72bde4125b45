package outbound_test

import (
	"context"
	"net"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/mail"
	"postrider/relay/outbound"
)

// Over a connection whose round trip takes 20 ms, and with no other cost, a
// message within DATA takes little more than one round trip, and one of 16 within
// BDAT a small part of one. Time is the bubble's, so the rates are exact.
// Covers D9, D10.
func TestFarServer(t *testing.T) {
	const roundTrip = 20 * time.Millisecond
	for _, c := range []struct {
		name  string
		offer []string
		least float64 // messages a second
		n     int
	}{
		{name: "data", offer: []string{"PIPELINING"}, least: 45, n: 200},
		{name: "bdat", offer: []string{"PIPELINING", "CHUNKING"}, least: 600, n: 4000},
		{name: "one by one", least: 12, n: 50}, // four round trips
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &witness{offer: c.offer, trouble: func(string) string { return "" }}
				var wg sync.WaitGroup
				o := outbound.Options{Timeouts: quick}
				o.Connect = func(context.Context, string, string) (net.Conn, error) {
					ours, theirs := wire(roundTrip / 2)
					wg.Go(func() { w.serve(theirs) })
					return ours, nil
				}
				body := costBody()
				var list []*mail.Delivery
				for i := range c.n {
					list = append(list, delivery(body, "s"+strconv.Itoa(i)+"@x", "a@y"))
				}
				src := newSource(t, list...)
				began := time.Now()
				if err := outbound.New(o).Serve(t.Context(), nil, &mail.Egress{Hop: pipeHop}, src); err != nil {
					t.Fatal(err)
				}
				took := time.Since(began)
				wg.Wait()
				if n := len(w.texts()); n != c.n {
					t.Errorf("%d arrived, not %d", n, c.n)
				}
				if rate := float64(c.n) / took.Seconds(); rate < c.least {
					t.Errorf("%.1f messages a second, not %.0f", rate, c.least)
				} else {
					t.Logf("%.1f messages a second", rate)
				}
			})
		})
	}
}
