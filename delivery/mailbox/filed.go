package mailbox

import (
	"bytes"
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"postrider/delivery/mailbox/internal/record"
	"postrider/delivery/mailbox/internal/rows"
	"postrider/internal/mail"
)

// maxFiled is how many ids of deliveries that may be repeated are known in memory.
const maxFiled = 100_000

// filed knows the ids that the index has keys of. Nearly every delivery is the first
// with its id, and is forgotten soon after: neither has to look into the index then.
// With too many ids only some are known, and the index is asked again.
type filed struct {
	mu sync.Mutex
	// guards following
	ids  map[mail.ID]filedKey
	some bool // there may be others
}

// filedKey is the key of an id that has only one.
type filedKey struct {
	recipient uint32
	box       record.Box
	several   bool
}

// add notes a key. Only the applier adds and takes.
func (f *filed) add(k *record.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := filedKey{recipient: k.Recipient, box: k.Box}
	old, known := f.ids[k.ID]
	switch {
	case known && old == key:
	case known:
		old.several = true
		f.ids[k.ID] = old
	case len(f.ids) >= maxFiled:
		f.some = true
	default:
		if f.ids == nil {
			f.ids = make(map[mail.ID]filedKey)
		}
		// Another key of this id may be among those that are not known.
		key.several = f.some
		f.ids[k.ID] = key
	}
}

// may reports whether the index may have a key of id.
func (f *filed) may(id mail.ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, known := f.ids[id]
	return known || f.some
}

// take forgets an id. The index may have none of its keys, the one returned, or,
// unless exact, any.
func (f *filed) take(id mail.ID) (key filedKey, known, exact bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key, known = f.ids[id]
	delete(f.ids, id)
	return key, known, known && !key.several || !known && !f.some
}

// load reads what the index has.
func (f *filed) load(db *pebble.DB) error {
	return scan(db, []byte{rows.PrefixKey}, func(key, _ []byte) (bool, error) {
		k, ok := rows.ParseDeliveryKey(key)
		if !ok {
			return false, rows.ErrMalformed
		}
		f.add(&k)
		return !f.some, nil
	})
}

// applyForget removes the keys of ids that nobody will repeat.
func (ap *applier) applyForget(p *record.Part) (err error) {
	var it *pebble.Iterator
	for id, ok := p.List.ID(); ok && err == nil; id, ok = p.List.ID() {
		key, known, exact := ap.s.filed.take(id)
		switch {
		case exact && !known:
		case exact:
			ap.keyBuf = rows.DeliveryKey(ap.keyBuf[:0], id, key.recipient, key.box.Account, key.box.Mailbox)
			err = ap.batch.Delete(ap.keyBuf, nil)
		default:
			if it == nil {
				if it, err = ap.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{rows.PrefixKey}, UpperBound: []byte{rows.PrefixKey + 1}}); err != nil {
					return err
				}
			}
			ap.keyBuf = rows.KeysOf(ap.keyBuf[:0], id)
			for found := it.SeekGE(ap.keyBuf); found && bytes.HasPrefix(it.Key(), ap.keyBuf) && err == nil; found = it.Next() {
				err = ap.batch.Delete(it.Key(), nil)
			}
		}
	}
	if it != nil {
		err = errors.Join(err, it.Error(), it.Close())
	}
	return err
}
