package delivery_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"postrider/delivery"
	"postrider/delivery/mailbox"
	"postrider/internal/mail"
)

// bigText is a message of 8 KiB.
func bigText() string {
	b := []byte("Received: from c by here; now\r\nFrom: a@y.example\r\nTo: b@x.example\r\nSubject: x\r\nMessage-ID: <1@y.example>\r\n\r\n")
	for len(b) < 8<<10 {
		b = append(b, "The quick brown fox jumps over the lazy dog, again and again.\r\n"...)
	}
	return string(b)
}

// BenchmarkDirect files messages of 8 KiB for a thousand users.
func BenchmarkDirect(b *testing.B) {
	for _, workers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(workers), func(b *testing.B) {
			o := &office{users: &users{names: make(map[string]string)}, now: time.Now()}
			for i := range 1000 {
				name := fmt.Sprintf("u%d@x.example", i)
				o.users.names[name] = name
			}
			var syncs atomic.Int64
			var err error
			o.s, err = mailbox.Open(mailbox.Options{Dir: b.TempDir(), Metrics: &mailbox.Metrics{Group: func(int, int, time.Duration, time.Duration) { syncs.Add(1) }}})
			if err != nil {
				b.Fatal(err)
			}
			defer o.s.Close()
			o.a = delivery.New(delivery.Options{Store: o.s, Users: o.users, Remember: time.Hour})
			for i := range 1000 {
				d := o.message(text, fmt.Sprintf("u%d@x.example", i))
				if !o.a.Direct(b.Context(), d, true) {
					b.Fatal("not filed")
				}
				o.a.Forget(d.Envelope.ID)
			}
			big := bigText()
			var next atomic.Uint32
			syncs.Store(0)
			b.SetParallelism((workers + 1) / 2)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				d, env := new(mail.Delivery), &mail.Envelope{Sender: []byte("s@y.example")}
				text := body(big)
				address := make([]byte, 0, 32)
				for pb.Next() {
					n := next.Add(1)
					env.Reset()
					env.ID = mail.MakeID(o.now.UnixMilli(), 0, 2, n)
					address = fmt.Appendf(address[:0], "u%d@x.example", n%1000)
					env.AddRecipient(address, 0, nil)
					d.Prepare(1)
					d.Envelope, d.Body, d.Sender = env, text, env.Sender
					d.Recipients = append(d.Recipients, 0)
					if !o.a.Direct(b.Context(), d, false) || !d.Outcomes[0].OK() {
						b.Error("not filed")
					}
					o.a.Forget(env.ID)
				}
			})
			b.ReportMetric(float64(syncs.Load())/float64(b.N), "syncs/op")
		})
	}
}
