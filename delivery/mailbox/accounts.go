package mailbox

import (
	"runtime"
	"sync"
	"weak"

	"postrider/delivery/mailbox/internal/rows"
)

// loadStripes is how many accounts may be read from the index at once.
const loadStripes = 64

// accounts finds the accounts in memory. They live as long as somebody uses them
// or the ring holds them; while one does, there is no other for the same account.
type accounts struct {
	s *Store
	// load is held while an account is read, by its id; before mu.
	load [loadStripes]sync.Mutex

	mu sync.Mutex
	// guards following
	byName map[string]weak.Pointer[Account]
	byID   map[uint32]weak.Pointer[Account]
	ring   []*Account // recently used; one that was used again since the hand passed stays
	hand   int
}

func (c *accounts) init(s *Store, n int) {
	c.s = s
	c.byName, c.byID = make(map[string]weak.Pointer[Account]), make(map[uint32]weak.Pointer[Account])
	c.ring = make([]*Account, n)
}

// named returns the account in memory, or nil.
func (c *accounts) named(name string) *Account {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.byName[name].Value()
	if a != nil {
		a.used.Store(true)
	}
	return a
}

// numbered returns the account in memory, or nil.
func (c *accounts) numbered(id uint32) *Account {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byID[id].Value()
}

// add takes in an account that is not in memory yet.
func (c *accounts) add(a *Account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := weak.Make(a)
	c.byName[a.name], c.byID[a.id] = w, w
	runtime.AddCleanup(a, c.swept, key{a.id, a.name})
	for range 2 * len(c.ring) {
		c.hand = (c.hand + 1) % len(c.ring)
		if old := c.ring[c.hand]; old == nil || !old.used.Swap(false) {
			break
		}
	}
	c.ring[c.hand] = a
}

type key struct {
	id   uint32
	name string
}

// swept removes what pointed to an account that the collector took.
func (c *accounts) swept(k key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID[k.id].Value() == nil {
		delete(c.byID, k.id)
	}
	if c.byName[k.name].Value() == nil {
		delete(c.byName, k.name)
	}
}

// remove lets an account be found no more by its name.
func (c *accounts) remove(a *Account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName[a.name].Value() == a {
		delete(c.byName, a.name)
	}
	for i, r := range c.ring {
		if r == a {
			c.ring[i] = nil
		}
	}
}

// get returns an account by its id, from memory or the index; nil when there is
// none.
func (c *accounts) get(id uint32) (*Account, error) {
	if a := c.numbered(id); a != nil {
		return a, nil
	}
	mu := &c.load[id%loadStripes]
	mu.Lock()
	defer mu.Unlock()
	if a := c.numbered(id); a != nil {
		return a, nil
	}
	a, err := c.s.readAccount(id)
	if a != nil && !a.deleted {
		c.add(a)
	}
	return a, err
}

// Account finds an account: ErrNoAccount when there is none.
func (s *Store) Account(name string) (*Account, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.leave()
	return s.account(name)
}

func (s *Store) account(name string) (*Account, error) {
	name, err := accountName(name)
	if err != nil {
		return nil, ErrNoAccount
	}
	if a := s.accounts.named(name); a != nil && a.there() {
		return a, nil
	}
	var id uint32
	found, err := get(s.db, rows.NameKey(nil, name), func(v []byte) (err error) {
		id, err = rows.ParseID(v)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, ErrNoAccount
	}
	a, err := s.accounts.get(id)
	if err == nil && (a == nil || !a.there()) {
		return nil, ErrNoAccount
	}
	return a, err
}

// Accounts returns the names of all accounts, sorted.
func (s *Store) Accounts() ([]string, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.leave()
	var names []string
	err := scan(s.db, []byte{rows.PrefixName}, func(key, _ []byte) (bool, error) {
		names = append(names, string(key[1:]))
		return true, nil
	})
	return names, err
}

// readAccount makes an account from the index; nil when there is none.
func (s *Store) readAccount(id uint32) (*Account, error) {
	var row rows.Account
	found, err := get(s.db, rows.AccountKey(nil, id), func(v []byte) error { return rows.ParseAccount(v, &row) })
	if err != nil || !found {
		return nil, err
	}
	a := newAccount(s, id, row.Name)
	a.setRow(&row)
	a.shown = true
	err = scan(s.db, rows.MailboxesFrom(nil, id), func(key, v []byte) (bool, error) {
		m := newMailbox(a, rows.MailboxID(key))
		if err := rows.ParseMailbox(v, &m.row); err != nil {
			return false, err
		}
		a.boxes[m.id] = m
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	if err := a.readNotes(); err != nil {
		return nil, err
	}
	for _, m := range a.boxes {
		if err := m.read(); err != nil {
			return nil, err
		}
	}
	_, err = get(s.db, rows.SubsKey(nil, id), func(v []byte) (err error) {
		a.subsRow.version, a.subsRow.names, err = rows.ParseNames(v)
		return err
	})
	a.subs, a.subsVersion = a.subsRow.names, a.subsRow.version
	a.index()
	return a, err
}
