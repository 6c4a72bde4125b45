package mailbox

import "slices"

// watcher is somebody who wants to know that something has changed.
type watcher struct {
	box     func()         // of a mailbox
	account func(*Mailbox) // of an account
}

// Watch calls f on the store's applier goroutine after each change in any mailbox of
// the account, and with nil after changes of names, until stop is called. f must be
// quick and must not call the store; it is told that there is something, not what.
// It is called as long as somebody holds the account.
func (a *Account) Watch(f func(*Mailbox)) (stop func()) {
	w := &watcher{account: f}
	return a.watch(&a.watchers, w)
}

// Watch calls f on the store's applier goroutine after each change in the mailbox
// until stop is called; see Account.Watch.
func (m *Mailbox) Watch(f func()) (stop func()) {
	return m.a.watch(&m.watchers, &watcher{box: f})
}

func (a *Account) watch(list *[]*watcher, w *watcher) func() {
	a.mu.Lock()
	defer a.mu.Unlock()
	*list = append(slices.Clip(*list), w)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		// A copy: the applier may be going through the old one.
		*list = slices.DeleteFunc(slices.Clone(*list), func(x *watcher) bool { return x == w })
	}
}

// tell calls the watchers of what the batch has changed in a. Only the applier calls
// it.
func (a *Account) tell() {
	a.mu.Lock()
	all := a.watchers
	a.mu.Unlock()
	for _, m := range a.dirty {
		if !m.news {
			continue
		}
		a.mu.Lock()
		list := m.watchers
		a.mu.Unlock()
		for _, w := range list {
			w.box()
		}
		for _, w := range all {
			w.account(m)
		}
	}
	if a.renamed {
		for _, w := range all {
			w.account(nil)
		}
	}
}
