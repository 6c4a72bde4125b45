package smtpd

import (
	"bytes"

	"postrider/internal/mail"
)

// keyRequireTLS is the keyword of RFC 8689, in EHLO and behind MAIL.
const keyRequireTLS = "REQUIRETLS"

var replyRequireTLS = mail.NewStatus(501, 5, 5, 4, "Bad or repeated parameter")

// offersRequireTLS reports that REQUIRETLS may be asked for: only on a connection
// that is encrypted itself (RFC 8689 section 2), and not by LMTP, whose server
// stores the message and sends it nowhere.
func (e *engine) offersRequireTLS() bool { return e.TLS != nil && !e.lmtp }

// requireTLS takes REQUIRETLS out of the argument of MAIL. Where it is not offered
// it stays, so that it is refused as any parameter that is not known.
func (e *engine) requireTLS(arg []byte) ([]byte, bool, mail.Status) {
	if !e.offersRequireTLS() {
		return arg, false, mail.Status{}
	}
	found := false
	at := pathEnd(arg)
	for at < len(arg) {
		end := at
		for end < len(arg) && arg[end] != ' ' {
			end++
		}
		word := arg[at:end]
		key, _, valued := bytes.Cut(word, []byte("="))
		if !bytes.EqualFold(key, []byte(keyRequireTLS)) {
			at = end + 1
			continue
		}
		if valued || found {
			return arg, false, replyRequireTLS
		}
		found = true
		arg = append(arg[:at], arg[min(end+1, len(arg)):]...)
	}
	e.arg = arg // what an event tells
	return arg, found, mail.Status{}
}

// pathEnd returns the index behind the bracket that closes the path, and the space
// after it; the length when there are no parameters or no path. A bracket in a
// quoted local part closes nothing.
func pathEnd(arg []byte) int {
	start, quoted := bytes.IndexByte(arg, '<'), false
	for i := max(start, 0); i < len(arg); i++ {
		switch c := arg[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == '>' && !quoted && start >= 0:
			return min(i+2, len(arg))
		}
	}
	return len(arg)
}
