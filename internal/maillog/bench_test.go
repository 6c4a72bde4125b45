package maillog_test

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"postrider/internal/mail"
	"postrider/internal/maillog"
)

func sampleAttempt() (*mail.Envelope, *maillog.Attempt) {
	env := &mail.Envelope{
		ID: mail.MakeID(1732310000000, 1, 2, 3), ArrivedMicro: time.Now().UnixMicro(), SizeBytes: 4096,
		Client: netip.MustParseAddr("198.51.100.7"), Session: 0x7f3a,
	}
	env.Sender = env.KeepString("alice@isp.example")
	env.Helo = env.KeepString("client.isp.example")
	env.Listener = env.KeepString("127.0.0.1:2525")
	env.Protocol = env.KeepString("ESMTPS")
	env.TLS = env.KeepString("TLS1.3")
	env.AddRecipient([]byte("carol@gmail.example"), 0, nil)
	return env, &maillog.Attempt{
		Envelope: env, Number: 1, Site: "smtp:192.0.2.1:25", Command: "data",
		Status:  mail.NewStatus(250, 2, 0, 0, "OK queued as 1700 - gsmtp"),
		Remote:  mail.Remote{Host: "192.0.2.1:25", Addr: netip.MustParseAddrPort("192.0.2.1:25"), TLS: "TLS1.3", Session: 0x9c02},
		Timings: mail.Timings{Connect: 61 * time.Millisecond, TLS: 44100 * time.Microsecond, SMTP: 38200 * time.Microsecond, Data: 60900 * time.Microsecond},
		Wait:    4 * time.Millisecond,
	}
}

func BenchmarkDelivered(b *testing.B) {
	l := openDiscard(b)
	_, a := sampleAttempt()
	b.ReportAllocs()
	for b.Loop() {
		l.Delivered(a)
	}
}

func BenchmarkAccepted(b *testing.B) {
	l := openDiscard(b)
	env, _ := sampleAttempt()
	b.ReportAllocs()
	for b.Loop() {
		l.Accepted(env, 3*time.Millisecond, 2*time.Millisecond)
	}
}

func openDiscard(tb testing.TB) *maillog.Log {
	l, err := maillog.Open(maillog.Options{Output: io.Discard, Node: "mx1"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	return l
}
