// Package message reads and writes header fields without holding a message: the
// Received line that a relay adds, and a Scanner that watches a header go by.
//
// Both work on bytes as they come, allocate nothing, and take time linear in
// their input.
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
	For      []byte // the recipient, given only when there is one; canonical, without brackets
	Time     time.Time
}

// AppendReceived appends the field, folded, with its final CRLF.
func AppendReceived(dst []byte, r *Received) []byte {
	dst = append(dst, "Received: from "...)
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
	dst = append(append(dst, "\r\n\tby "...), r.By...)
	dst = append(append(dst, " with "...), r.Protocol...)
	dst = r.ID.AppendText(append(dst, " id "...))
	if len(r.For) > 0 && len(r.For) <= mail.MaxAddressLen {
		dst = append(append(append(dst, "\r\n\tfor <"...), r.For...), '>')
	}
	dst = r.Time.AppendFormat(append(dst, ";\r\n\t"...), "Mon, 02 Jan 2006 15:04:05 -0700")
	return append(dst, '\r', '\n')
}
