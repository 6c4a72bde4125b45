package access_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"postrider/bench/access"
	"postrider/bench/result"
)

func (f *fake) options(w access.Workload) access.Options {
	return access.Options{
		POP3: f.pop3, IMAP: f.imap, LMTP: f.lmtp, Password: "secret", Workload: w,
		Users: 6, Conns: 3, Sessions: 60, Keep: 4, Size: 2000, Seed: 3, Timeout: 10 * time.Second,
	}
}

// play fills, looks at all mailboxes so that they are known, runs and checks, and
// returns all lines.
func play(t *testing.T, o access.Options) (lines []result.AccessResult) {
	t.Helper()
	b, err := access.New(o)
	if err != nil {
		t.Fatal(err)
	}
	take := func(more []result.AccessResult, err error) {
		t.Helper()
		if err != nil {
			t.Logf("%v", err)
		}
		lines = append(lines, more...)
	}
	take(b.Fill(t.Context(), 5))
	take(b.Check(t.Context(), false))
	take(b.Run(t.Context()))
	take(b.Check(t.Context(), true))
	return lines
}

// A server that does all right is found right, by every workload.
func TestCorrectServer(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*access.Options)
		want   []string
	}{
		{"poll", func(o *access.Options) {}, []string{"LOGIN", "STAT", "UIDL", "QUIT", "SESSION", "delivery"}},
		{"poll", func(o *access.Options) { o.Protocol = "imap" }, []string{"STATUS", "LOGOUT"}},
		{"download", func(o *access.Options) {}, []string{"LIST", "RETR", "DELE"}},
		{"download", func(o *access.Options) { o.Arrivals = 2; o.Rate = 500 }, []string{"LIST", "RETR", "DELE", "delivery"}},
		{"sync", func(o *access.Options) { o.Arrivals = 2 }, []string{"SELECT", "FETCH FLAGS", "FETCH BODY", "STORE", "EXPUNGE"}},
		{"webmail", func(o *access.Options) { o.Rate = 500; o.Page = 3 }, []string{"FETCH ENVELOPE", "FETCH BODYSTRUCTURE", "SEARCH"}},
		{"idle", func(o *access.Options) {}, []string{"IDLE", "EXISTS after delivery", "EXISTS after 250"}},
		{"idle", func(o *access.Options) { o.Rate = 500 }, []string{"IDLE", "EXISTS after delivery"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := startFake(t, "", 0)
			o := f.options(access.Workload(c.name))
			c.change(&o)
			count := map[string]int64{}
			for _, l := range play(t, o) {
				count[l.Operation] += l.Count
				if l.Errors != 0 || l.Violations != 0 {
					t.Errorf("%s: %d errors, %d violations: %q", l.Operation, l.Errors, l.Violations, l.Described)
				}
				if l.Latency.Count != l.Count || l.Count > 0 && (l.Latency.Max < 1 || l.Latency.HDR == "" || len(l.Latency.Curve) != len(result.Percentiles())) {
					t.Errorf("%s: %d operations, latency %+v", l.Operation, l.Count, l.Latency)
				}
			}
			for _, op := range c.want {
				if count[op] == 0 {
					t.Errorf("no %s", op)
				}
			}
			if op := map[bool]string{true: "EXISTS after delivery", false: "SESSION"}[c.name == "idle"]; count[op] != o.Sessions {
				t.Errorf("%d of %s, want %d", count[op], op, o.Sessions)
			}
		})
	}
}

// What was delivered is read by both protocols, octet for octet, and by a session that
// waits for it.
func TestHarvest(t *testing.T) {
	f := startFake(t, "", 0)
	o := f.options(access.Poll)
	var read [2]map[string]int
	for i, protocol := range []string{"pop3", "imap"} {
		o.Protocol, read[i] = protocol, map[string]int{}
		b, err := access.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if _, err := b.Fill(t.Context(), 3); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		err = b.Harvest(t.Context(), func(text []byte) {
			mu.Lock()
			defer mu.Unlock()
			read[i][string(text)]++
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(read[0]) != 3*o.Users || !maps.Equal(read[0], read[1]) {
		t.Errorf("%d texts by POP3, %d by IMAP, want %d", len(read[0]), len(read[1]), 3*o.Users)
	}
}

func TestFollow(t *testing.T) {
	f := startFake(t, "", 0)
	o := f.options(access.Poll)
	o.Protocol, o.Users, o.Conns = "imap", 1, 1
	sender, err := access.New(o)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := access.New(o)
	if err != nil {
		t.Fatal(err)
	}
	deliver := func(n int) {
		if _, err := sender.Fill(t.Context(), n); err != nil {
			t.Error(err)
		}
	}
	deliver(2)
	const total = 6
	ctx, cancel := context.WithCancel(t.Context())
	came := make(chan struct{}, total)
	var seen access.Followed
	var failed error
	var follow sync.WaitGroup
	follow.Go(func() {
		seen, failed = reader.Follow(ctx, func([]byte) { came <- struct{}{} })
	})
	for n := range total {
		<-came
		if n > 0 && n < total-1 {
			deliver(1)
		}
	}
	cancel()
	follow.Wait()
	if failed != nil || seen.Texts != total || seen.Told < 1 || seen.Told > total-2 {
		t.Errorf("%+v, %v", seen, failed)
	}
}

// Each fault of a server is found, and by the operation that shows it.
func TestFaultsAreFound(t *testing.T) {
	for _, c := range []struct {
		fault    string
		after    int // strikes at this occasion
		workload string
		by       string // operation; "": any
	}{
		{"message comes back", 3, "download", "UIDL"},
		{"DELE forgotten", 3, "download", "UIDL"},
		{"message lost", 5, "download", "UIDL"},
		{"message lost", 40, "download", "UIDL"},
		{"message twice", 40, "download", ""},
		{"text damaged", 5, "download", "RETR"},
		{"foreign text", 5, "download", "RETR"},
		{"dots lost", 5, "download", "RETR"},
		{"size wrong", 5, "download", ""},
		{"STAT off", 20, "download", "STAT"},
		{"UIDL changed", 100, "poll", "UIDL"},
		{"UNSEEN off", 20, "poll-imap", "STATUS"},
		{"UIDVALIDITY changed", 20, "sync", "SELECT"},
		{"UIDNEXT falls", 20, "sync", "SELECT"},
		{"EXISTS off", 20, "sync", "SELECT"},
		{"FETCH forgets", 5, "sync", "FETCH FLAGS"},
		{"wrong flags", 40, "sync", "FETCH FLAGS"},
		{"literal cut", 5, "sync", "FETCH BODY"},
		{"literal bytes lost", 5, "sync", "FETCH BODY"},
		{"text damaged", 5, "sync", "FETCH BODY"},
		{"STORE wrong", 5, "sync", "FETCH FLAGS"},
		{"STORE silent", 5, "sync", "STORE"},
		{"EXPUNGE forgotten", 5, "sync", "EXPUNGE"},
		{"EXPUNGE too much", 5, "sync", "EXPUNGE"},
		{"message lost", 40, "sync", "FETCH FLAGS"},
		{"message twice", 40, "sync", ""},
		{"wrong flags", 40, "webmail", ""},
		{"subject wrong", 5, "webmail", "FETCH ENVELOPE"},
		{"structure wrong", 5, "webmail", "FETCH BODYSTRUCTURE"},
		{"SEARCH forgets", 5, "webmail", "SEARCH"},
		{"literal cut", 5, "webmail", "FETCH BODY"},
		{"message twice", 40, "idle", ""},
	} {
		t.Run(fmt.Sprint(c.workload, "/", c.fault), func(t *testing.T) {
			f := startFake(t, c.fault, c.after)
			w, protocol := access.Workload(c.workload), ""
			if c.workload == "poll-imap" {
				w, protocol = access.Poll, "imap"
			}
			o := f.options(w)
			o.Protocol, o.Arrivals = protocol, 1
			all, found := int64(0), int64(0)
			lines := play(t, o)
			for _, l := range lines {
				all += l.Violations
				if (c.by == "" || l.Operation == c.by) && len(l.Described) > 0 {
					found += l.Violations
				}
			}
			if found == 0 {
				t.Errorf("the fault was not found")
			}
			if all > 8 {
				t.Errorf("%d violations of one fault", all)
			}
			for _, l := range lines {
				if l.Violations > 0 {
					t.Logf("%s %s: %q", l.Workload, l.Operation, l.Described)
				}
			}
		})
	}
}

// A delivery that is not told of in IDLE is a violation when the patience is over.
func TestForgottenEXISTS(t *testing.T) {
	f := startFake(t, "EXISTS forgotten", 5)
	o := f.options(access.Idle)
	o.Timeout = 2 * time.Second
	o.Users, o.Conns, o.Sessions = 1, 1, 8
	b, err := access.New(o)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := b.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := b.Live().Violations; n == 0 {
		t.Errorf("nothing found: %+v", lines)
	}
}

// Options that make no sense are refused.
func TestOptions(t *testing.T) {
	good := access.Options{POP3: "x:1", IMAP: "x:2", LMTP: "x:3", Workload: access.Sync}
	if _, err := access.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*access.Options){
		"workload":        func(o *access.Options) { o.Workload = "what" },
		"no imap":         func(o *access.Options) { o.IMAP = "" },
		"no pop3":         func(o *access.Options) { o.Workload, o.POP3 = access.Download, "" },
		"idle by nothing": func(o *access.Options) { o.Workload, o.LMTP = access.Idle, "" },
		"few users":       func(o *access.Options) { o.Conns = 2 },
		"one name":        func(o *access.Options) { o.Users, o.UserFormat = 2, "me" },
		"tls":             func(o *access.Options) { o.TLS = "maybe" },
		"size":            func(o *access.Options) { o.Size = 10 },
		"arrivals":        func(o *access.Options) { o.LMTP, o.Arrivals = "", 1 },
		"protocol":        func(o *access.Options) { o.Workload, o.Protocol = access.Poll, "nntp" },
	} {
		o := good
		change(&o)
		if _, err := access.New(o); !errors.Is(err, access.ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, err := access.New(good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Run(t.Context()); !errors.Is(err, access.ErrOptions) {
		t.Errorf("neither duration nor sessions: %v", err)
	}
}
