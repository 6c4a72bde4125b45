//go:build interop

package interop

import (
	"context"
	"fmt"
	"net/mail"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postrider/bench/access"
	"postrider/bench/ledger"
	"postrider/bench/load"
	"postrider/bench/target"
)

const boxDomain = "mail.bench.test"

// mailboxes is a postrider with users u0 and on, and what it listens at.
type mailboxes struct {
	*relay
	lmtp, pop3 string
	users      int
}

func newMailboxes(t *testing.T, users int, more string) *mailboxes {
	t.Helper()
	m := &mailboxes{lmtp: freeAddress(t), pop3: freeAddress(t), users: users}
	m.relay = newRelay(t, t.TempDir(), "local", fmt.Sprintf(`
[local]
domains = [%q]
%s
[[listener]]
address = %q
service = "lmtp"
[[listener]]
address = %q
service = "pop3"
tls = "off"
`, boxDomain, more, m.lmtp, m.pop3))
	for i := range users {
		m.user("add", i, "--password-stdin")
	}
	return m
}

// user runs a verb about a user.
func (m *mailboxes) user(verb string, i int, args ...string) {
	m.t.Helper()
	args = append([]string{"user", verb, fmt.Sprintf("u%d@%s", i, boxDomain), "-c", m.config}, args...)
	if out, err := tool(m.t, "secret\n", binary(m.t, "postrider"), args...); err != nil {
		m.t.Fatalf("user %s: %v\n%s", verb, err, out)
	}
}

// texts reads all mailboxes by POP3.
func (m *mailboxes) texts() []string {
	m.t.Helper()
	b, err := access.New(access.Options{
		POP3: m.pop3, Workload: access.Poll, Protocol: "pop3", Users: m.users, Conns: min(4, m.users),
		UserFormat: "u%d@" + boxDomain, Password: "secret", Sessions: 1,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	var mu sync.Mutex
	var all []string
	err = b.Harvest(m.t.Context(), func(text []byte) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, string(text))
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return all
}

// fill sends messages of a generator by LMTP.
func fill(t *testing.T, lmtp string, n int64, users int) {
	t.Helper()
	g, err := load.New(load.Options{Address: lmtp, LMTP: true, Conns: 8, Messages: n, Users: users, Domains: load.DomainList(boxDomain)})
	if err != nil {
		t.Fatal(err)
	}
	if r := g.Run(t.Context()); r.Accepted != n || r.Err != nil {
		t.Fatalf("%d of %d accepted: %v", r.Accepted, n, r.Err)
	}
}

// Postfix hands mail to our mailboxes by LMTP: a text for several recipients has a
// reply for each, so that one who has no room waits at Postfix while the others have
// their mail, and one who does not exist is returned.
// Covers HM3.
func TestPostfixIntoOurMailboxes(t *testing.T) {
	m := newMailboxes(t, 3, "")
	m.user("set", 2, "--quota-messages", "1")
	m.start()
	post := startTarget(t, "postfix", target.Need{NextHop: m.lmtp, HopLMTP: true})
	to := make([]string, 0, 4)
	for _, name := range []string{"u0", "u1+lists", "u2", "nobody"} {
		to = append(to, name+"@"+boxDomain)
	}
	const messages = 5
	for i := range messages {
		out, err := tool(t, "", "swaks", "--server", post.SMTP(), "--from", "u0@"+boxDomain, "--to", strings.Join(to, ","), "--header", "Subject: number "+strconv.Itoa(i))
		if err != nil {
			t.Fatalf("swaks: %v\n%s", err, out)
		}
	}
	subjects := map[string]int{}
	enough := await(time.Minute, func() bool {
		clear(subjects)
		for _, text := range m.texts() {
			msg, err := mail.ReadMessage(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			kind := "number"
			if !strings.HasPrefix(msg.Header.Get("Subject"), kind) {
				kind = "returned"
			}
			subjects[kind+" for "+msg.Header.Get("Delivered-To")]++
			if got := msg.Header.Get("Return-Path"); got != "<u0@"+boxDomain+">" && kind == "number" || got != "<>" && kind == "returned" {
				t.Errorf("Return-Path: %s", got)
			}
		}
		return subjects["number for u0@"+boxDomain] == messages && subjects["number for u1+lists@"+boxDomain] == messages && subjects["returned for u0@"+boxDomain] == messages
	})
	if !enough || subjects["number for u2@"+boxDomain] != 1 {
		t.Errorf("in the mailboxes: %v", subjects)
	}
	awaitQueued(t, post, messages-1) // of u2, who has no room
	m.signal(syscall.SIGTERM)
}

// Mail that a route sends to Dovecot's LMTP is in its mailboxes.
// Covers D13.
func TestIntoDovecot(t *testing.T) {
	box := startTarget(t, "dovecot", target.Need{Mailboxes: 3})
	r := newRelay(t, t.TempDir(), "lmtp:"+box.LMTP(), "")
	r.start()
	const n = 60
	g, err := load.New(load.Options{Address: r.addr, Conns: 5, Messages: n, Users: 3, Domains: load.DomainList(boxDomain)})
	if err != nil {
		t.Fatal(err)
	}
	if sent := g.Run(t.Context()); sent.Accepted != n || sent.Err != nil {
		t.Fatalf("%d of %d accepted: %v", sent.Accepted, n, sent.Err)
	}
	drained(t, r)
	messages := 0
	for i := range 3 {
		said := converse(t, box.POP3(), fmt.Sprintf("USER u%d@%s", i, boxDomain), "PASS secret", "STAT")
		k, err := strconv.Atoi(strings.Fields(said + " 0 0")[1])
		if err != nil {
			t.Errorf("STAT: %q", said)
		}
		messages += k
	}
	if messages != n {
		t.Errorf("%d messages in Dovecot's mailboxes, want %d", messages, n)
	}
	r.signal(syscall.SIGTERM)
}

// SIGKILL at random moments while LMTP clients and SMTP clients deliver, straight and
// by the queue: whoever was told 250 has the message, and there are no more duplicates
// than there were replies that a kill swallowed.
// Covers G1, G2, G3.
func TestKillLocal(t *testing.T) {
	for _, way := range []struct{ name, more string }{{"straight", ""}, {"by the queue", "direct = false\n"}} {
		t.Run(way.name, func(t *testing.T) {
			const users, conns = 20, 16
			m := newMailboxes(t, users, way.more)
			var mu sync.Mutex
			acked := map[uint64]bool{}
			n := rounds(8, 80)
			for i := range n {
				m.start()
				var senders sync.WaitGroup
				ctx, cancel := context.WithCancel(t.Context())
				for k, address := range []string{m.lmtp, m.addr} {
					g, err := load.New(load.Options{
						Address: address, LMTP: k == 0, Conns: conns, Duration: time.Minute, Run: run, FirstSeq: uint64(2*i+k) * 1_000_000, Failures: 1,
						Timeout: 10 * time.Second, Users: users, Domains: load.DomainList(boxDomain),
						Sizes: load.MixSizes(load.Size{Bytes: 1 << 10, Weight: 4}, load.Size{Bytes: 8 << 10, Weight: 4}, load.Size{Bytes: 300 << 10}),
						Acked: func(a load.Ack) {
							mu.Lock()
							defer mu.Unlock()
							acked[a.Seq] = true
						},
					})
					if err != nil {
						t.Fatal(err)
					}
					senders.Go(func() { g.Run(ctx) })
				}
				<-time.After(time.Duration(100+60*i%500) * time.Millisecond)
				m.signal(syscall.SIGKILL)
				cancel()
				senders.Wait()
			}
			m.start()
			drained(t, m.relay)
			found, damaged := map[uint64]int{}, 0
			for _, text := range m.texts() {
				h, whole, ok := ledger.ReadText([]byte(text))
				if !ok || !whole || h.Run != run {
					damaged++
				}
				found[h.Seq]++
			}
			lost, twice := 0, 0
			for seq := range acked {
				if found[seq] == 0 {
					lost++
				}
			}
			for _, k := range found {
				twice += k - 1
			}
			t.Logf("%d kills, %d acknowledged, %d found, %d twice", n, len(acked), len(found), twice)
			if lost > 0 || damaged > 0 || len(acked) < n {
				t.Errorf("%d of %d acknowledged messages are lost, %d damaged", lost, len(acked), damaged)
			}
			// A message is sent once here, so that what is there twice was filed twice.
			if twice > 0 {
				t.Errorf("%d messages were filed twice", twice)
			}
			if left := len(found) - len(acked); left > n*2*conns {
				t.Errorf("%d messages are there that nobody was told of, at most %d were in flight", left, n*2*conns)
			}
			keysAreForgotten(t, m)
			m.signal(syscall.SIGTERM)
		})
	}
}

// keysAreForgotten sees that a restart after the kills did not leave the store with
// what it remembers of old deliveries: the log of events tells of no trouble.
func keysAreForgotten(t *testing.T, m *mailboxes) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, "data", "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), `"kind":"mailboxes"`) {
		t.Error("the store could not tell what it remembers")
	}
}
