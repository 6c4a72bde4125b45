package maillog

import (
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"postrider/internal/mail"
)

func (e *event) addSession(enc zapcore.ObjectEncoder, s *Session) {
	e.addSess(enc, s.ID)
	if s.Client.IsValid() {
		enc.AddByteString("client", s.Client.Addr().AppendTo(e.scratch[:0]))
	}
	addBytes(enc, "helo", s.Helo)
	addText(enc, "listener", s.Listener)
	addBytes(enc, "proto", s.Protocol)
	addText(enc, "tls", s.TLS)
	addBytes(enc, "user", s.User)
}

func (e *event) addStatus(enc zapcore.ObjectEncoder, s *mail.Status) {
	if s.IsZero() {
		return
	}
	enc.AddInt64("code", int64(s.Code))
	if s.Enhanced.Class != 0 {
		enc.AddByteString("enh", s.Enhanced.AppendText(e.scratch[:0]))
	}
	addBytes(enc, "reply", s.Text)
}

func (e *event) addSess(enc zapcore.ObjectEncoder, id uint64) {
	if id != 0 {
		enc.AddByteString("sess", strconv.AppendUint(e.scratch[:0], id, 16))
	}
}

// addCommand writes a command in lower case, as all words of ours are.
func (e *event) addCommand(enc zapcore.ObjectEncoder, command string) {
	if command == "" {
		return
	}
	low := e.scratch[:0]
	for i := range min(len(command), 32) {
		c := command[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		low = append(low, c)
	}
	enc.AddByteString("cmd", low)
}

// host takes the port off what was dialled; the path of a socket has none.
func host(dialled string) string {
	if strings.HasPrefix(dialled, "/") {
		return dialled
	}
	if i := strings.LastIndexByte(dialled, ':'); i >= 0 {
		dialled = dialled[:i]
	}
	return strings.Trim(dialled, "[]")
}

// A member without a value is left out.

func addText(enc zapcore.ObjectEncoder, key, v string) {
	if v != "" {
		enc.AddString(key, v)
	}
}

func addBytes(enc zapcore.ObjectEncoder, key string, v []byte) {
	if len(v) > 0 {
		enc.AddByteString(key, v)
	}
}

func addDuration(enc zapcore.ObjectEncoder, key string, d time.Duration) {
	if d > 0 {
		enc.AddDuration(key, d)
	}
}
