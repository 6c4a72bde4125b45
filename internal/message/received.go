// Package message reads and writes messages without holding them: the Received
// line that a relay adds, a Scanner that watches a header go by, and a Structurer
// that watches the whole text and says how it is built, in the words of IMAP.
//
// All work on bytes as they come and take time linear in their input, whatever it
// is: what goes beyond a cap (depth of parts, their number, what is kept of
// headers) is passed without being looked into. In steady state they allocate
// nothing; a preview in a charset other than UTF-8 is the exception.
//
// # Format
//
// A Structure rests on disk as AppendStructure writes it: an octet with the
// version, 2; then as unsigned varints the octets of the text, those of its header
// and its line ends, and the lengths of ENVELOPE, BODY, BODYSTRUCTURE, preview,
// Message-ID, In-Reply-To and References; the number of parts; for each part an
// octet with its kind in the low and its encoding in the high four bits, and
// varints: how many parts before it its parent stands, its header's offset counted
// from that of the part before it, the octets of its header, those of its body, and
// the line ends in that; and last what the lengths were of, one behind the other.
// All of it can be made again from the text; version 1, which had each length
// before what it is of, is.
//
// # Concurrency
//
// Nothing here locks; a value belongs to one goroutine.
package message

import (
	"net/netip"
	"time"

	"postrider/internal/mail"
)

// Received is what a Received field says (RFC 5321 section 4.4).
type Received struct {
	Helo     []byte     // name the client gave; it must satisfy smtp.ValidHelo
	Client   netip.Addr // the zero value: it came by a unix socket
	By       string     // our own name
	Protocol string     // "with" keyword, as smtpd.Conn.Protocol gives it
	TLS      string     // protocol version; empty: in clear
	ID       mail.ID
	Hidden   bool   // nothing is said of the client (RFC 5321 section 7.6 lets a system hide what is private)
	For      []byte // the recipient, given only when there is one; canonical, without brackets
	Time     time.Time
}

// AppendReceived appends the field, folded, with its final CRLF.
func AppendReceived(dst []byte, r *Received) []byte {
	dst = append(dst, "Received: "...)
	if !r.Hidden {
		dst = append(appendFrom(dst, r), "\r\n\t"...)
	}
	dst = append(append(dst, "by "...), r.By...)
	dst = append(append(dst, " with "...), r.Protocol...)
	dst = r.ID.AppendText(append(dst, " id "...))
	if len(r.For) > 0 && len(r.For) <= mail.MaxAddressLen {
		dst = append(append(append(dst, "\r\n\tfor <"...), r.For...), '>')
	}
	dst = r.Time.AppendFormat(append(dst, ";\r\n\t"...), "Mon, 02 Jan 2006 15:04:05 -0700")
	return append(dst, '\r', '\n')
}

// appendFrom appends what is said of the client.
func appendFrom(dst []byte, r *Received) []byte {
	dst = append(dst, "from "...)
	if len(r.Helo) == 0 {
		dst = append(dst, "unknown"...)
	}
	dst = append(dst, r.Helo[:min(len(r.Helo), 255)]...)
	switch {
	case !r.Client.IsValid():
		dst = append(dst, " (localhost)"...)
	case r.Client.Is6() && !r.Client.Is4In6(): // RFC 5321 section 4.1.3
		dst = append(r.Client.AppendTo(append(dst, " ([IPv6:"...)), "])"...)
	default:
		dst = append(r.Client.Unmap().AppendTo(append(dst, " (["...)), "])"...)
	}
	if r.TLS != "" {
		dst = append(append(append(dst, "\r\n\t(using "...), r.TLS...), ')')
	}
	return dst
}
