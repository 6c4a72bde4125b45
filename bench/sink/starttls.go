package sink

import (
	"bytes"
	"crypto/tls"
	"time"
)

// drip writes the replies a byte at a time.
func (ss *session) drip() bool {
	defer func() { ss.out = ss.out[:0] }()
	for i := range ss.out {
		if !pause(ss.ctx, ss.farm.tarpit) || ss.raw.SetWriteDeadline(time.Now().Add(ss.s.o.Idle)) != nil {
			return false
		}
		if _, err := ss.conn.Write(ss.out[i : i+1]); err != nil {
			return false
		}
	}
	return true
}

// startTLS begins TLS (RFC 3207). What came behind the command in clear is dropped.
func (ss *session) startTLS(line []byte) {
	p := ss.farm.at
	switch {
	case p == nil || p.b.TLS == TLSNone || !bytes.EqualFold(line, []byte("STARTTLS")):
		ss.unknown()
		return
	case ss.farm.secure || ss.mail:
		ss.say(replySequence)
		return
	}
	ss.say(replyTLS)
	if !ss.flush() {
		ss.over = true
		return
	}
	ss.r, ss.w = 0, 0
	if p.b.TLS == TLSBroken {
		ss.say([]byte("454 4.3.0 this is no handshake\r\n"))
		ss.over = true
		return
	}
	conn := tls.Server(ss.raw, ss.s.farm.tls.config(p.b.TLS, p.name))
	if err := conn.HandshakeContext(ss.ctx); err != nil {
		ss.over = true
		return
	}
	ss.conn, ss.farm.secure, ss.hello = conn, true, false
	ss.clear()
}
