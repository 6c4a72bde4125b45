package mailbox

import (
	"fmt"

	"postrider/delivery/mailbox/internal/rows"
)

// Recount compares all counters of the index with what they count.
func (s *Store) Recount() error {
	refs := make(map[uint64]uint32)
	live := make(map[uint64]int64)
	boxes := make(map[[2]uint32]rows.Status)
	var row rows.Entry
	err := scan(s.db, []byte{rows.PrefixEntry}, func(key, v []byte) (bool, error) {
		if err := rows.ParseEntry(v, &row); err != nil {
			return false, err
		}
		refs[row.Blob]++
		a, m := rows.Box(key)
		c := boxes[[2]uint32{a, m}]
		c.Messages++
		c.Bytes += int64(row.Size)
		if Flags(row.Flags)&FlagSeen == 0 {
			c.Unseen++
		}
		if Flags(row.Flags)&FlagDeleted != 0 {
			c.Deleted++
		}
		if row.ModSeq > c.HighestModSeq {
			c.HighestModSeq = row.ModSeq
		}
		c.UIDNext = max(c.UIDNext, rows.UID(key)+1)
		boxes[[2]uint32{a, m}] = c
		return true, nil
	})
	if err != nil {
		return err
	}
	if err := s.recountBlobs(refs, live); err != nil {
		return err
	}
	used := make(map[uint32]Quota)
	err = scan(s.db, []byte{rows.PrefixStatus}, func(key, v []byte) (bool, error) {
		var c rows.Status
		if err := rows.ParseStatus(v, &c); err != nil {
			return false, err
		}
		a, m := rows.Box(key)
		var name rows.Mailbox
		if _, err := get(s.db, rows.MailboxKey(nil, a, m), func(v []byte) error { return rows.ParseMailbox(v, &name) }); err != nil || name.Deleted {
			return true, err
		}
		n := boxes[[2]uint32{a, m}]
		if n.Messages != c.Messages || n.Bytes != c.Bytes || n.Unseen != c.Unseen || n.Deleted != c.Deleted || n.HighestModSeq > c.HighestModSeq || n.UIDNext > c.UIDNext {
			return false, fmt.Errorf("mailbox %d/%d has %+v, counted %+v", a, m, c, n)
		}
		q := used[a]
		q.UsedBytes += n.Bytes
		q.UsedMessages += n.Messages
		used[a] = q
		return true, nil
	})
	if err != nil {
		return err
	}
	return scan(s.db, []byte{rows.PrefixAccount}, func(key, v []byte) (bool, error) {
		var a rows.Account
		if err := rows.ParseAccount(v, &a); err != nil {
			return false, err
		}
		id, _ := rows.Box(append(append([]byte(nil), key...), 0, 0, 0, 0))
		if q := used[id]; q.UsedBytes != a.UsedBytes || q.UsedMessages != a.UsedMessages {
			return false, fmt.Errorf("account %d has %+v, counted %+v", id, a, q)
		}
		return true, nil
	})
}

func (s *Store) recountBlobs(refs map[uint64]uint32, live map[uint64]int64) error {
	large := 0
	err := scan(s.db, []byte{rows.PrefixBlob}, func(key, v []byte) (bool, error) {
		var b rows.Blob
		if err := rows.ParseBlob(v, &b); err != nil {
			return false, err
		}
		id := rows.BlobID(key)
		if refs[id] != b.Refs || b.Refs == 0 {
			return false, fmt.Errorf("blob %x has %d references, counted %d", id, b.Refs, refs[id])
		}
		delete(refs, id)
		if b.Large {
			large++
			_, err := s.fs.Stat(s.largePath(id))
			return err == nil, err
		}
		live[b.Gen] += b.Size
		return true, nil
	})
	if err != nil {
		return err
	}
	if len(refs) != 0 {
		return fmt.Errorf("%d blobs are missing", len(refs))
	}
	files, err := s.fs.List(s.largeDir)
	if err != nil || len(files) != large {
		return fmt.Errorf("%d files of large texts, %d needed, %w", len(files), large, err)
	}
	return scan(s.db, []byte{rows.PrefixLive}, func(key, v []byte) (bool, error) {
		n, err := rows.ParseCount(v)
		if gen := rows.BlobID(key); err == nil && n != live[gen] {
			err = fmt.Errorf("generation %d has %d live bytes, counted %d", gen, n, live[gen])
		}
		return true, err
	})
}

// Reaped reports that no deleted mailbox waits for its messages to go.
func (s *Store) Reaped() bool {
	none := true
	err := scan(s.db, []byte{rows.PrefixReap}, func(_, _ []byte) (bool, error) {
		none = false
		return false, nil
	})
	return none && err == nil
}

// LogBytes is how much was written to the log's present generation: the file has its
// full size from the start.
func (s *Store) LogBytes() int64 { return s.ap.applied.Off }
