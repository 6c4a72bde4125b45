package mailbox

import (
	"strings"

	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
)

func (ap *applier) applyAccount(p *record.Account) error {
	ap.s.raiseNextAccount(p.ID + 1)
	a, err := ap.account(p.ID)
	if err != nil {
		return err
	}
	if a == nil {
		if ap.named { // it was removed later: its name may be another one's by now
			return nil
		}
		a = newAccount(ap.s, p.ID, string(p.Name))
		a.brandNew = true
		ap.fresh[p.ID] = a
		// Its rows can be read before it is shown; whoever does finds this one.
		ap.s.accounts.add(a)
	}
	row := &a.row
	row.LastValidity, row.NextMailbox = max(row.LastValidity, p.LastValidity), max(row.NextMailbox, p.NextMailbox)
	ap.touch(a)
	if p.Version <= row.Version {
		return nil
	}
	row.Version, row.LimitBytes, row.LimitMessages, row.Name = p.Version, p.LimitBytes, p.LimitMessages, string(p.Name)
	key := rows.NameKey(nil, row.Name)
	if !p.Deleted {
		return ap.batch.Set(key, rows.AppendID(nil, p.ID), nil)
	}
	row.Deleted = true
	for _, m := range a.boxes {
		if !m.row.Deleted {
			if err := ap.bury(m); err != nil {
				return err
			}
		}
	}
	for _, k := range [][]byte{rows.SubsKey(nil, a.id), rows.MetadataKey(nil, a.id, 0)} {
		if err := ap.batch.Delete(k, nil); err != nil {
			return err
		}
	}
	return ap.batch.Delete(key, nil)
}

func (s *Store) raiseNextAccount(n uint32) {
	for old := s.nextAccount.Load(); old < n; old = s.nextAccount.Load() {
		if s.nextAccount.CompareAndSwap(old, n) {
			return
		}
	}
}

func (ap *applier) applyMailbox(p *record.Mailbox) error {
	a, err := ap.account(p.Account)
	if a == nil || err != nil || a.row.Deleted {
		return err
	}
	m := a.boxes[p.Mailbox]
	switch {
	case m == nil && (p.Deleted || ap.reader.Copied && !ap.rebuilds):
		return nil // it was there and is gone
	case m == nil:
		m = newMailbox(a, p.Mailbox)
		a.boxes[p.Mailbox] = m
	case m.row.Deleted || p.Version <= m.row.Version:
		return nil
	}
	ap.touchBox(m)
	a.renamed = true
	a.row.LastValidity = max(a.row.LastValidity, p.UIDValidity)
	a.row.NextMailbox = max(a.row.NextMailbox, p.Mailbox+1)
	m.row.Version, m.row.UIDValidity, m.row.Attributes, m.row.Name = p.Version, p.UIDValidity, p.Attributes, string(p.Name)
	if p.Deleted {
		return ap.bury(m)
	}
	if err := ap.batch.Set(rows.ValidityKey(nil, a.id, p.UIDValidity, m.row.Name), rows.AppendID(nil, m.id), nil); err != nil {
		return err
	}
	return ap.batch.Set(rows.MailboxKey(nil, a.id, m.id), rows.AppendMailbox(nil, &m.row), nil)
}

// bury deletes a mailbox. Its messages go by and by (see reapSome); what they used
// is free at once.
func (ap *applier) bury(m *Mailbox) error {
	a := m.a
	ap.touchBox(m)
	a.renamed = true
	m.row.Deleted = true
	a.row.UsedBytes -= m.counts.Bytes
	a.row.UsedMessages -= m.counts.Messages
	m.counts.Bytes, m.counts.Messages, m.counts.Unseen, m.counts.Deleted = 0, 0, 0, 0
	ap.reap = append(ap.reap, m.box())
	if err := ap.batch.Set(rows.MailboxKey(nil, a.id, m.id), rows.AppendMailbox(nil, &m.row), nil); err != nil {
		return err
	}
	return ap.batch.Set(rows.ReapKey(nil, a.id, m.id), []byte{rows.Version}, nil)
}

func (ap *applier) applyState(p *record.State) error {
	m, err := ap.mailbox(p.Box)
	if m == nil || err != nil {
		return err
	}
	news := m.news || p.UIDNext > 0 || p.HighestModSeq > 0
	ap.touchBox(m)
	m.news = news // what is recent no longer is nobody's news
	c := &m.counts
	c.UIDNext, c.RecentFrom = max(c.UIDNext, p.UIDNext), max(c.RecentFrom, p.RecentFrom)
	c.HighestModSeq, c.Floor = max(c.HighestModSeq, p.HighestModSeq), max(c.Floor, p.Floor)
	return nil
}

func (ap *applier) applyKeyword(p *record.Keyword) error {
	m, err := ap.mailbox(p.Box)
	if m == nil || err != nil || p.Slot >= WordKeywords+MoreKeywords {
		return err
	}
	for len(m.words) <= int(p.Slot) {
		m.words = append(m.words, "")
	}
	if m.words[p.Slot] == "" {
		m.words[p.Slot] = strings.Clone(string(p.Name))
		m.wordsChange = true
		ap.touchBox(m)
	}
	return nil
}

func (ap *applier) applySubscriptions(p *record.Part) error {
	a, err := ap.account(p.ID)
	if a == nil || err != nil || a.row.Deleted || p.Version <= a.subsRow.version {
		return err
	}
	ap.touch(a)
	a.renamed = true
	a.subsRow = subscriptions{version: p.Version}
	for p.List.Len() > 0 {
		a.subsRow.names = append(a.subsRow.names, string(p.List.Name()))
	}
	return ap.batch.Set(rows.SubsKey(nil, a.id), rows.AppendNames(nil, p.Version, a.subsRow.names), nil)
}
