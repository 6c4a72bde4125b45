//go:build interop

package interop

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/bench/access"
	"postrider/bench/target"
)

// idlers is how many sessions wait: IMAP_IDLE=10000 is the large number.
func idlers(t *testing.T, most int) int {
	text := os.Getenv("IMAP_IDLE")
	if text == "" {
		return min(most, 200)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return min(most, n)
}

// Sessions of as many users wait in IDLE by TLS. What the process takes for each is
// in the log: the memory that it has more than without them, when it knows the
// mailboxes of all users already.
func TestIMAPIdleMemory(t *testing.T) {
	n := idlers(t, 10_000)
	in := startTarget(t, "postrider", target.Need{Mailboxes: n, TLS: true, Conns: n})
	least := func() int64 { // while it is calm
		var least int64
		await(idlePatience(n), func() bool {
			s, err := in.Meter().Sample()
			if err != nil {
				t.Fatal(err)
			}
			if least == 0 || s.RSSBytes < least {
				least = s.RSSBytes
			}
			return false
		})
		return least
	}
	for _, c := range enterAll(t, in.IMAP(), n) {
		_ = c.Close()
	}
	before := least()
	began := time.Now()
	conns := enterAll(t, in.IMAP(), n)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	t.Logf("%d sessions are in IDLE after %v", n, time.Since(began))
	after := least()
	t.Logf("%d idle sessions by TLS: %.1f MB resident, %.1f MB without them, %.1f kB each", n,
		float64(after)/1e6, float64(before)/1e6, float64(after-before)/float64(n)/1e3)
	if n == 10_000 && after > 200e6 {
		t.Errorf("%d bytes resident", after)
	}
}

// enterAll begins IDLE for each of n users.
func enterAll(t *testing.T, address string, n int) []net.Conn {
	t.Helper()
	var (
		work sync.WaitGroup
		mu   sync.Mutex
		all  error
		next = make(chan int)
	)
	conns := make([]net.Conn, n)
	for range 16 {
		work.Go(func() {
			for i := range next {
				c, err := idleTLS(address, fmt.Sprintf("u%d@mail.bench.test", i))
				mu.Lock()
				conns[i], all = c, errors.Join(all, err)
				mu.Unlock()
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	work.Wait()
	if all != nil {
		t.Fatal(all)
	}
	return conns
}

// idlePatience is how long memory is watched.
func idlePatience(n int) time.Duration {
	if n < 1000 {
		return 3 * time.Second
	}
	return 50 * time.Second // the process gives back what it does not need while it is calm
}

// idleTLS logs a user in, selects his INBOX and begins IDLE.
func idleTLS(address, user string) (net.Conn, error) {
	plain, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	if err := plain.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return plain, err
	}
	r := bufio.NewReaderSize(plain, 1024)
	say := func(c net.Conn, command, want string) error {
		if _, err := c.Write([]byte(command)); err != nil {
			return err
		}
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return fmt.Errorf("%s: %q: %w", user, command, err)
			}
			if strings.HasPrefix(line, want) {
				return nil
			}
			if !strings.HasPrefix(line, "* ") {
				return fmt.Errorf("%s: %q answered by %q", user, command, line)
			}
		}
	}
	if err := say(plain, "", "* OK"); err != nil {
		return plain, err
	}
	if err := say(plain, "a STARTTLS\r\n", "a OK"); err != nil {
		return plain, err
	}
	c := tls.Client(plain, &tls.Config{InsecureSkipVerify: true})
	r = bufio.NewReaderSize(c, 1024)
	for _, step := range [][2]string{{"b LOGIN " + user + " secret\r\n", "b OK"}, {"c SELECT INBOX\r\n", "c OK"}, {"d IDLE\r\n", "+"}} {
		if err := say(c, step[0], step[1]); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Mail is delivered to users who wait in IDLE, at a steady rate, to each once; they are
// told soon after the delivery was answered.
func TestIMAPIdlePush(t *testing.T) {
	n := idlers(t, 5000)
	in := startTarget(t, "postrider", target.Need{Mailboxes: n, TLS: true, Conns: n})
	b, err := access.New(access.Options{
		IMAP: in.IMAP(), LMTP: in.LMTP(), Password: "secret", UserFormat: "u%d@mail.bench.test", TLS: access.TLSStart,
		Workload: access.Idle, Users: n, Conns: n, Sessions: int64(n), Rate: 500, Seed: 7, Timeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	lines, err := b.Run(ctx)
	clean(t, lines, err, "IDLE", "EXISTS after delivery", "EXISTS after 250")
	for _, l := range lines {
		if l.Operation != "EXISTS after 250" {
			continue
		}
		if l.Count != int64(n) {
			t.Errorf("%d of %d users were told", l.Count, n)
		}
		if rateLimits() && l.Latency.P99 > 50_000 {
			t.Errorf("p99 to EXISTS is %d us beyond the delivery", l.Latency.P99)
		}
	}
}
