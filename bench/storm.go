package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postrider/bench/result"
)

// Storm is a crowd of users who all log in by POP3, each once, as they do after a
// server was restarted; and again, when the server may know them.
type Storm struct {
	Logins int      `toml:"logins,omitempty"` // users; 0: no storm
	Conns  int      `toml:"conns,omitempty"`  // at once; 0: 64
	After  Duration `toml:"after,omitempty"`  // from the end of the warm-up to the first login; 0: 5 s
}

// wave is what came of every user's login once.
type wave struct {
	took    time.Duration
	waits   []time.Duration // of each that succeeded, from the dial to the +OK of PASS, ascending
	refused int64
	first   error
	// before and during are the messages a second that the relay delivered, before the
	// wave and meanwhile.
	before, during float64
}

// storm waits for the load to be under way, lets all log in and tells how the relay
// fared.
func (r *round) storm(ctx context.Context) wave {
	if !pause(ctx, r.s.Load.Warmup.D()) {
		return wave{first: ctx.Err()}
	}
	calm, ended := time.Now(), r.ledger.Ended()
	if !pause(ctx, r.s.Storm.After.Or(5*time.Second)) {
		return wave{first: ctx.Err()}
	}
	before := float64(r.ledger.Ended()-ended) / time.Since(calm).Seconds()
	r.p.note("%d users log in, while %.0f messages/s are relayed", r.s.Storm.Logins, before)
	ended = r.ledger.Ended()
	w := r.loginAll(ctx)
	w.before, w.during = before, float64(r.ledger.Ended()-ended)/w.took.Seconds()
	return w
}

// loginAll logs every user in once.
func (r *round) loginAll(ctx context.Context) wave {
	var (
		w    wave
		mu   sync.Mutex // guards w
		next atomic.Int64
		wg   sync.WaitGroup
	)
	began := time.Now()
	for range max(1, orInt(r.s.Storm.Conns, 64)) {
		wg.Go(func() {
			for n := next.Add(1) - 1; n < int64(r.s.Storm.Logins) && ctx.Err() == nil; n = next.Add(1) - 1 {
				took, err := loginOnce(ctx, r.server.POP3(), int(n))
				mu.Lock()
				if err == nil {
					w.waits = append(w.waits, took)
				} else if w.refused++; w.first == nil {
					w.first = err
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	w.took = time.Since(began)
	slices.Sort(w.waits)
	return w
}

func orInt(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// loginOnce logs user n in by POP3 and says goodbye. Users come from addresses of
// their own, since servers bound what one may do.
func loginOnce(ctx context.Context, address string, n int) (time.Duration, error) {
	began := time.Now()
	d := net.Dialer{Timeout: time.Minute, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 8, byte(n/200), byte(n%200+1))}}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }() // nothing is owed
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute)) // an error shows in what follows
	in := bufio.NewReaderSize(conn, 256)
	say := func(line string) error {
		if line != "" {
			if _, err := conn.Write([]byte(line)); err != nil {
				return err
			}
		}
		got, err := in.ReadString('\n')
		if err == nil && !strings.HasPrefix(got, "+OK") {
			err = errors.New(strings.TrimSpace(got))
		}
		return err
	}
	for _, line := range []string{"", fmt.Sprintf("USER u%d@%s\r\n", n, mailboxDomain), "PASS " + password + "\r\n"} {
		if err := say(line); err != nil {
			return 0, err
		}
	}
	took := time.Since(began)
	return took, say("QUIT\r\n")
}

// stormValues adds what a storm showed; the second wave comes when there is no load.
func (r *round) stormValues(ctx context.Context, run *result.Run, first wave) {
	again := r.loginAll(ctx)
	for i, w := range []wave{first, again} {
		name := []string{"logins, first wave", "logins, second wave"}[i]
		run.Values = append(run.Values,
			result.Value{Name: name, Unit: "1/s", Got: float64(len(w.waits)) / w.took.Seconds(), Note: fmt.Sprintf("%d users, %d refused", r.s.Storm.Logins, w.refused)})
		if n := len(w.waits); n > 0 {
			run.Values = append(run.Values, result.Value{Name: name + ", p99", Unit: "ms", Got: w.waits[n*99/100].Seconds() * 1e3})
		}
		if w.refused > 0 {
			r.fail("%s: %d refused, the first: %v", name, w.refused, w.first)
		}
	}
	run.Values = append(run.Values, result.Value{
		Name: "relayed during the first wave", Unit: "%", Got: 100 * first.during / first.before,
		Note: fmt.Sprintf("%.0f of %.0f messages/s", first.during, first.before),
	})
}
