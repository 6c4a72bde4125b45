package imap

import (
	"strconv"

	"postrider/access/imapwire"
)

// quotaRoot is the name of the one quota root that an account has, if it has limits.
const quotaRoot = ""

// getQuota does GETQUOTA (RFC 9208 section 4.2.1).
func (s *session) getQuota(c *command) reply {
	root, good := argument(c, (*imapwire.Decoder).AString)
	if !good || !c.bare() {
		return bad(textArguments)
	}
	if string(root) != quotaRoot || !s.limited() {
		return no("NONEXISTENT", "No such quota root")
	}
	s.sayQuota()
	return ok("GETQUOTA completed")
}

// getQuotaRoot does GETQUOTAROOT (RFC 9208 section 4.2.2).
func (s *session) getQuotaRoot(c *command) reply {
	name, good := argument(c, (*imapwire.Decoder).AString)
	if !good || !c.bare() {
		return bad(textArguments)
	}
	box, r := s.mailbox(name)
	if box == nil {
		return r
	}
	b := append(s.room(), "* QUOTAROOT "...)
	b = imapwire.AppendMailbox(b, box.Name(), s.utf8())
	if s.limited() {
		b = append(b, ` ""`...)
	}
	s.add(append(b, "\r\n"...))
	s.sayQuota()
	return ok("GETQUOTAROOT completed")
}

// setQuota refuses SETQUOTA: limits are the operator's.
func (s *session) setQuota(*command) reply {
	return no("NOPERM", "Limits are set by the operator")
}

// limited reports whether the account has limits.
func (s *session) limited() bool {
	q := s.account.Quota()
	return q.LimitBytes > 0 || q.LimitMessages > 0
}

// sayQuota sends a QUOTA; nothing when there are no limits.
func (s *session) sayQuota() {
	const unit = 1024 // RFC 9208 section 5.1
	q := s.account.Quota()
	if q.LimitBytes <= 0 && q.LimitMessages <= 0 {
		return
	}
	b := append(s.room(), `* QUOTA "" (`...)
	if q.LimitBytes > 0 {
		b = append(b, "STORAGE "...)
		b = strconv.AppendInt(b, (q.UsedBytes+unit-1)/unit, 10)
		b = append(b, ' ')
		b = strconv.AppendInt(b, q.LimitBytes/unit, 10)
	}
	if q.LimitMessages > 0 {
		if q.LimitBytes > 0 {
			b = append(b, ' ')
		}
		b = append(b, "MESSAGE "...)
		b = strconv.AppendInt(b, q.UsedMessages, 10)
		b = append(b, ' ')
		b = strconv.AppendInt(b, q.LimitMessages, 10)
	}
	s.add(append(b, ")\r\n"...))
}

// namespace does NAMESPACE (RFC 9051 section 6.3.10).
func (s *session) namespace(c *command) reply {
	if !c.bare() {
		return bad(textNoArgs)
	}
	s.w.AddString("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n")
	return ok("NAMESPACE completed")
}
