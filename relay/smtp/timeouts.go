package smtp

import "time"

// Timeouts bound the phases of a client's conversation; zero fields take the
// values of RFC 5321 section 4.5.3.2. Each is the whole time that one reply, or
// one block of text, may take: a peer that moves a byte now and then does not
// prolong it.
type Timeouts struct {
	Greeting time.Duration // the 220; 0: 5 min
	Hello    time.Duration // EHLO, HELO, LHLO, STARTTLS; 0: 5 min
	TLS      time.Duration // the handshake; 0: 1 min
	Auth     time.Duration // each reply of a login; 0: 2 min
	Mail     time.Duration // MAIL and RSET; 0: 5 min
	Rcpt     time.Duration // 0: 5 min
	Data     time.Duration // the 354; 0: 2 min
	Block    time.Duration // the peer to take each 64 KiB that is written; 0: 3 min
	End      time.Duration // the reply to the final dot or to BDAT; 0: 10 min
	Quit     time.Duration // the 221, which nothing depends on; 0: 2 s
}

// withDefaults fills what is zero.
func (t Timeouts) withDefaults() Timeouts {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&t.Greeting, 5*time.Minute)
	set(&t.Hello, 5*time.Minute)
	set(&t.TLS, time.Minute)
	set(&t.Auth, 2*time.Minute)
	set(&t.Mail, 5*time.Minute)
	set(&t.Rcpt, 5*time.Minute)
	set(&t.Data, 2*time.Minute)
	set(&t.Block, 3*time.Minute)
	set(&t.End, 10*time.Minute)
	set(&t.Quit, 2*time.Second)
	return t
}
