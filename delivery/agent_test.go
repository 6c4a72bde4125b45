package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/delivery"
	"postrider/delivery/mailbox"
	"postrider/internal/mail"
)

// users are names by address; "down@" cannot be looked up.
type users struct {
	mu    sync.Mutex // guards following
	names map[string]string
	asked []string
}

func (u *users) Exists(_ context.Context, address string) (string, bool, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = append(u.asked, address)
	if strings.HasPrefix(address, "down@") {
		return "", false, errors.New("no connection")
	}
	name, ok := u.names[address]
	return name, ok, nil
}

func (u *users) remove(address string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.names, address)
}

type body []byte

func (b body) Size() int64                             { return int64(len(b)) }
func (b body) Bytes() []byte                           { return b }
func (b body) Reader() io.Reader                       { return bytes.NewReader(b) }
func (b body) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(b).ReadAt(p, off) }

// office is an agent with its store, and a clock that a test moves.
type office struct {
	a     *delivery.Agent
	s     *mailbox.Store
	users *users
	now   time.Time
	ids   uint32
}

func open(t testing.TB, change func(*delivery.Options)) *office {
	t.Helper()
	o := &office{users: &users{names: make(map[string]string)}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	for _, name := range []string{"alice", "bob", "carol", "dave", "we+ird"} {
		o.users.names[name+"@x.example"] = name + "@x.example"
	}
	o.users.names["sales@x.example"] = "alice@x.example"
	var err error
	o.s, err = mailbox.Open(mailbox.Options{
		FS: vfs.NewMem(), Dir: "m", SegmentBytes: 1 << 20, ReserveBytes: -1, MemTableBytes: 1 << 20,
		DiskFree: func() (uint64, error) { return 1 << 40, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.s.Close(); err != nil {
			t.Error(err)
		}
	})
	options := delivery.Options{Store: o.s, Users: o.users, Settings: delivery.Settings{Separator: '+'}, Clock: func() time.Time { return o.now }}
	if change != nil {
		change(&options)
	}
	o.a = delivery.New(options)
	return o
}

const text = "Received: from c by here; now\r\nReturn-Path: <old@y.example>\r\nSubject: x\r\n\r\nhello\r\n"

// message is a delivery to addresses.
func (o *office) message(text string, to ...string) *mail.Delivery {
	o.ids++
	env := &mail.Envelope{ID: mail.MakeID(o.now.UnixMilli(), 0, 1, o.ids), Sender: []byte("s@y.example")}
	d := new(mail.Delivery)
	d.Prepare(len(to))
	for i, address := range to {
		env.AddRecipient([]byte(address), 0, nil)
		d.Recipients = append(d.Recipients, i)
	}
	d.Envelope, d.Body, d.Sender = env, body(text), env.Sender
	return d
}

// once is a Source of one delivery.
type once struct{ d, done *mail.Delivery }

func (s *once) Next(context.Context, time.Duration) *mail.Delivery {
	d := s.d
	s.d = nil
	return d
}

func (s *once) Done(d *mail.Delivery) { s.done = d }

// serve delivers as the queue's lane does, and returns the outcomes.
func (o *office) serve(t testing.TB, d *mail.Delivery) string {
	t.Helper()
	src := &once{d: d}
	if err := o.a.Serve(t.Context(), nil, nil, src); err != nil || src.done != d {
		t.Fatalf("%v, %v", err, src.done)
	}
	return outcomes(d)
}

func outcomes(d *mail.Delivery) string {
	var list []string
	for _, s := range d.Outcomes {
		list = append(list, fmt.Sprintf("%d %d.%d.%d", s.Code, s.Enhanced.Class, s.Enhanced.Subject, s.Enhanced.Detail))
	}
	return strings.Join(list, ", ")
}

// texts are the messages of a user's mailbox.
func (o *office) texts(t testing.TB, user, name string) []string {
	t.Helper()
	a, err := o.s.Account(user)
	if err != nil {
		return nil
	}
	m, err := a.Mailbox(name)
	if err != nil {
		return nil
	}
	v, err := m.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var list []string
	for i := range v.Len() {
		var msg mailbox.Message
		if err := m.Message(v.At(i).UID, &msg); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if _, err := msg.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		msg.Release()
		list = append(list, b.String())
	}
	return list
}

// Each recipient has its own copy behind its own fields.
func TestDeliver(t *testing.T) {
	for _, direct := range []bool{false, true} {
		o := open(t, nil)
		d := o.message(text, "alice@x.example", "sales@x.example", "bob@x.example")
		if direct {
			if !o.a.Direct(t.Context(), d, true) {
				t.Fatal("not filed")
			}
		} else {
			o.serve(t, d)
		}
		if got := outcomes(d); got != "250 2.1.5, 250 2.1.5, 250 2.1.5" {
			t.Error(got)
		}
		const rest = "Received: from c by here; now\r\nSubject: x\r\n\r\nhello\r\n"
		want := []string{
			"Return-Path: <s@y.example>\r\nDelivered-To: alice@x.example\r\n" + rest,
			"Return-Path: <s@y.example>\r\nDelivered-To: sales@x.example\r\n" + rest,
		}
		if got := o.texts(t, "alice@x.example", "INBOX"); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("alice has %q", got)
		}
		if got := o.texts(t, "bob@x.example", "inbox"); len(got) != 1 || !strings.Contains(got[0], "\r\nDelivered-To: bob@x.example\r\n") {
			t.Errorf("bob has %q", got)
		}
		// The same again is known, by either way, until its key is forgotten.
		for range 2 {
			again := o.message(text, "alice@x.example", "sales@x.example", "bob@x.example")
			again.Envelope.ID = d.Envelope.ID
			if got := o.serve(t, again); got != "250 2.1.5, 250 2.1.5, 250 2.1.5" {
				t.Error(got)
			}
		}
		if n := len(o.texts(t, "alice@x.example", "INBOX")); n != 2 {
			t.Errorf("alice has %d messages", n)
		}
		keys := 0
		if err := o.a.Remembered(func(id mail.ID) error { keys++; return nil }); err != nil || keys == 0 {
			t.Errorf("%d keys, %v", keys, err)
		}
		o.a.Forget(d.Envelope.ID)
	}
}

// The null sender, and an address that would end a line of the header.
func TestReturnPath(t *testing.T) {
	o := open(t, nil)
	o.users.names["alice@x.example\r\nX: y"] = "alice@x.example"
	d := o.message("Subject: x\r\n\r\n", "alice@x.example\r\nX: y")
	d.Sender = nil
	if got := o.serve(t, d); got != "250 2.1.5" {
		t.Error(got)
	}
	if got := o.texts(t, "alice@x.example", "INBOX"); len(got) != 1 || got[0] != "Return-Path: <>\r\nDelivered-To: alice@x.example??X: y\r\nSubject: x\r\n\r\n" {
		t.Errorf("%q", got)
	}
}

// A sub-address leads to the mailbox that it names, if there is one.
func TestSubAddresses(t *testing.T) {
	o := open(t, nil)
	a, err := o.s.CreateAccount(t.Context(), "alice@x.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Create(t.Context(), "lists", 0); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"alice+lists@x.example":     "lists",
		"alice+other@x.example":     "INBOX",
		"alice+@x.example":          "INBOX",
		"alice+lists+a@x.example":   "INBOX",
		"alice+../x@x.example":      "INBOX",
		"alice+/@x.example":         "INBOX",
		"sales+lists@x.example":     "lists",
		"we+ird@x.example":          "", // a user of that name
		"+lists@x.example":          "550 5.1.1",
		"\"alice+lists\"@x.example": "550 5.1.1",
		"alice-lists@x.example":     "550 5.1.1",
	} {
		before := map[string]int{"lists": len(o.texts(t, "alice@x.example", "lists")), "INBOX": len(o.texts(t, "alice@x.example", "INBOX"))}
		got := o.serve(t, o.message(text, address))
		if strings.HasPrefix(want, "550") && got != want || !strings.HasPrefix(want, "550") && got != "250 2.1.5" {
			t.Errorf("%s: %s", address, got)
		}
		for name, n := range before {
			if grown := len(o.texts(t, "alice@x.example", name)) - n; grown != 0 != (name == want) {
				t.Errorf("%s: %d more in %s", address, grown, name)
			}
		}
	}
	o.a.Reload(delivery.Settings{Separator: '-'})
	if got := o.serve(t, o.message(text, "alice-lists@x.example", "alice+lists@x.example")); got != "250 2.1.5, 550 5.1.1" {
		t.Errorf("with another separator: %s", got)
	}
	o.a.Reload(delivery.Settings{})
	if got := o.serve(t, o.message(text, "alice+lists@x.example", "we+ird@x.example")); got != "550 5.1.1, 250 2.1.5" {
		t.Errorf("without one: %s", got)
	}
}

// What an address says is only looked up: no name of an account comes from it.
//
// Covers HM1.
func TestHostileAddresses(t *testing.T) {
	o := open(t, nil)
	hostile := []string{
		"../x", "a/b", "-oQ/", "|sh", "$(id)", ".", "..", strings.Repeat("a", 255), "a\x00b", "-rf", `""`, `"../../etc/passwd"`, "a\r\nb", "%s%n",
		"alice/../bob", "INBOX", "*", "a b", "", "+", "++", "\xff\xfe",
	}
	for _, local := range hostile {
		address := local + "@x.example"
		if st := o.a.Recipient(t.Context(), []byte(address), 100); !st.Permanent() {
			t.Errorf("%q at RCPT: %v", address, st)
		}
		if got := o.serve(t, o.message(text, address)); !strings.HasPrefix(got, "55") {
			t.Errorf("%q: %s", address, got)
		}
		sub := "alice+" + local + "@x.example"
		if got := o.serve(t, o.message(text, sub)); got != "250 2.1.5" && len(sub) <= mail.MaxAddressLen {
			t.Errorf("%q: %s", sub, got)
		}
	}
	for _, address := range []string{"", "@", "alice", "alice@", "@x.example"} {
		if got := o.serve(t, o.message(text, address)); !strings.HasPrefix(got, "55") {
			t.Errorf("%q: %s", address, got)
		}
	}
	if names, err := o.s.Accounts(); err != nil || len(names) != 1 || names[0] != "alice@x.example" {
		t.Errorf("accounts %q, %v", names, err)
	}
	a, err := o.s.Account("alice@x.example")
	if err != nil {
		t.Fatal(err)
	}
	if boxes := a.Mailboxes(nil); len(boxes) != 1 {
		t.Errorf("mailboxes %v", boxes)
	}
}

// Users who cannot be looked up have time; those who are gone are no users any more.
func TestUsersComeAndGo(t *testing.T) {
	o := open(t, nil)
	for address, want := range map[string]uint16{"alice@x.example": 0, "nobody@x.example": 550, "down@x.example": 451} {
		if st := o.a.Recipient(t.Context(), []byte(address), 0); st.Code != want {
			t.Errorf("%s at RCPT: %v", address, st)
		}
	}
	if names, err := o.s.Accounts(); err != nil || len(names) > 0 {
		t.Errorf("RCPT has made accounts: %q, %v", names, err)
	}
	if got := o.serve(t, o.message(text, "alice@x.example", "nobody@x.example", "down@x.example")); got != "250 2.1.5, 550 5.1.1, 451 4.3.0" {
		t.Error(got)
	}
	if o.a.Direct(t.Context(), o.message(text, "alice@x.example", "down@x.example"), false) {
		t.Error("filed although not all can be looked up")
	}
	o.users.remove("alice@x.example")
	o.now = o.now.Add(time.Minute)
	if got := o.serve(t, o.message(text, "alice@x.example")); got != "550 5.1.1" {
		t.Errorf("a user who is gone: %s", got)
	}
	d := o.message(text, "alice@x.example", "bob@x.example")
	if !o.a.Direct(t.Context(), d, false) || outcomes(d) != "550 5.1.1, 250 2.1.5" {
		t.Errorf("a user who is gone, straight: %s", outcomes(d))
	}
	if o.a.Direct(t.Context(), o.message(text, "alice@x.example", "bob@x.example"), true) {
		t.Error("filed whole although one is gone")
	}
	if n := len(o.texts(t, "bob@x.example", "INBOX")); n != 1 {
		t.Errorf("bob has %d messages", n)
	}
}

// An account that was removed while it was remembered is made again for its user.
func TestAnAccountThatWentAway(t *testing.T) {
	o := open(t, nil)
	o.serve(t, o.message(text, "alice@x.example", "bob@x.example"))
	for range 2 {
		if err := o.s.DeleteAccount(t.Context(), "alice@x.example"); err != nil {
			t.Fatal(err)
		}
		if got := o.serve(t, o.message(text, "alice@x.example", "bob@x.example")); got != "250 2.1.5, 250 2.1.5" {
			t.Error(got)
		}
		if err := o.s.DeleteAccount(t.Context(), "alice@x.example"); err != nil {
			t.Fatal(err)
		}
		if d := o.message(text, "bob@x.example", "alice@x.example"); !o.a.Direct(t.Context(), d, true) || outcomes(d) != "250 2.1.5, 250 2.1.5" {
			t.Error(outcomes(d))
		}
	}
	if a, b := len(o.texts(t, "alice@x.example", "INBOX")), len(o.texts(t, "bob@x.example", "INBOX")); a != 1 || b != 5 {
		t.Errorf("alice has %d, bob %d", a, b)
	}
}

// A message that comes back ends.
//
// Covers HL1.
func TestALoopEnds(t *testing.T) {
	o := open(t, nil)
	o.serve(t, o.message(text, "alice@x.example"))
	back := "Received: from there by here; later\r\nReceived: from here by there; later\r\n" + o.texts(t, "alice@x.example", "INBOX")[0]
	if got := o.serve(t, o.message(back, "alice@x.example", "bob@x.example")); got != "554 5.4.6, 250 2.1.5" {
		t.Error(got)
	}
	if d := o.message(back, "alice@x.example"); !o.a.Direct(t.Context(), d, false) || outcomes(d) != "554 5.4.6" {
		t.Errorf("straight: %s", outcomes(d))
	}
}
