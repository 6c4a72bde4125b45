package ldapdb

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"postrider/internal/auth"
)

// Trouble of the directory is never an unknown user or a wrong password, and a
// restart of it is not even noticed.
func TestTrouble(t *testing.T) {
	d, _ := startDirectory(t, false, people()...)
	db := open(t, d, func(o *Options) { o.Guard.Failures = 1000 })
	ann := found(t, db, "ann@example.org")
	verify(t, ann, "ann's", true)
	for range 3 {
		d.hangUp()
		verify(t, ann, "ann's", true)
		verify(t, ann, "wrong", false)
		found(t, db, "ann@example.org")
	}
	temporary := func(what string) {
		t.Helper()
		if _, err := db.Lookup(t.Context(), "ann@example.org"); err == nil || errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	for _, code := range []uint16{ldap.LDAPResultNoSuchObject, ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultBusy, ldap.LDAPResultReferral, ldap.LDAPResultSizeLimitExceeded} {
		d.change(func() { d.result = code })
		temporary(ldap.LDAPResultCodeMap[code])
	}
	d.change(func() { d.result, d.silent = 0, true })
	working := db
	db = open(t, d, func(o *Options) { o.Guard.Timeout = 50 * time.Millisecond })
	temporary("silence")
	if good, err := db.bind(t.Context(), annDN, []byte("ann's")); good || err == nil {
		t.Errorf("silence: got %v, %v", good, err)
	}
	d.change(func() { d.silent = false })
	db = working
	verify(t, ann, "ann's", true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if good, err := ann.Verify(ctx, []byte("ann's")); good || err == nil {
		t.Errorf("caller gone: got %v, %v", good, err)
	}
	_ = d.listen.Close()
	d.hangUp()
	temporary("down")
	wrong, _ := startDirectory(t, false, people()...)
	db = open(t, wrong, func(o *Options) { o.BindPassword = "old" })
	temporary("wrong name of ours")
}

// Many at once share the connections that there may be.
func TestMany(t *testing.T) {
	d, _ := startDirectory(t, false, people()...)
	db := open(t, d, func(o *Options) { o.Connections = 3 })
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			e, err := db.Lookup(t.Context(), "ann@example.org")
			if err != nil {
				t.Error(err)
				return
			}
			good, err := e.Verify(t.Context(), []byte([]string{"ann's", "wrong"}[i%2]))
			if err != nil || good != (i%2 == 0) {
				t.Errorf("got %v, %v", good, err)
			}
		})
	}
	all.Wait()
	if opened, _, _ := d.counts(); opened > 6 {
		t.Errorf("%d connections were opened", opened)
	}
}
