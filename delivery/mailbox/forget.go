package mailbox

import (
	"sync"

	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
	"postrider/internal/mail"
)

// forgetBatch is how many keys one record forgets at most.
const forgetBatch = 4096

// forgetter collects keys that are needed no more. There is one record at a time
// under way; nobody waits for it.
type forgetter struct {
	mu sync.Mutex
	// guards following
	ids  []mail.ID
	busy bool
}

// Forget says that nobody will repeat a Deliver with these keys. It does not wait.
// Keys that a crash keeps from being forgotten stay until they are told of again.
func (s *Store) Forget(ids ...mail.ID) {
	if len(ids) == 0 || s.begin() != nil {
		return
	}
	defer s.leave()
	f := &s.forget
	f.mu.Lock()
	f.ids = append(f.ids, ids...)
	start := !f.busy
	f.busy = true
	f.mu.Unlock()
	if start {
		s.forgetSome()
	}
}

// forgetSome writes a record for what has been collected.
func (s *Store) forgetSome() {
	f := &s.forget
	f.mu.Lock()
	if len(f.ids) == 0 || s.dead.Load() {
		f.busy = false
		f.mu.Unlock()
		return
	}
	n := min(len(f.ids), forgetBatch)
	o := s.newOp(false)
	o.head = record.AppendForget(o.head, f.ids[:n])
	f.ids = append(f.ids[:0], f.ids[n:]...)
	f.mu.Unlock()
	o.after = func() {
		o.free()
		s.forgetSome()
	}
	o.appendLazy()
}

// Keys calls yield with the id of each Delivery that Forget was not told of, more than
// once perhaps, until it returns an error.
func (s *Store) Keys(yield func(id mail.ID) error) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.leave()
	return scan(s.db, []byte{rows.PrefixKey}, func(key, _ []byte) (bool, error) {
		id, ok := rows.KeyID(key)
		if !ok {
			return false, rows.ErrMalformed
		}
		return true, yield(id)
	})
}
