package cost

import (
	"slices"
	"strings"
	"testing"
)

func TestParseLine(t *testing.T) {
	for _, test := range []struct {
		line string
		want event
		ok   bool
	}{
		{`8850  fsync(6</tmp/data>)            = 0`, event{thread: 8850, call: "fsync", file: "/tmp/data", args: "6</tmp/data>", begin: true, end: true}, true},
		{`7 fdatasync(6</a>) = -1 EIO (Input/output error)`, event{thread: 7, call: "fdatasync", file: "/a", args: "6</a>", begin: true, end: true, value: -1}, true},
		{`7 fsync(6</a> <unfinished ...>`, event{thread: 7, call: "fsync", file: "/a", args: "6</a> <unfinished ...>", begin: true}, true},
		{`7 <... fsync resumed>)             = 0`, event{thread: 7, call: "fsync", args: "", end: true}, true},
		{`7 <... recvfrom resumed>"a) = 1\r\n", 10, 0, NULL, NULL) = 8`, event{thread: 7, call: "recvfrom", args: `"a) = 1\r\n", 10, 0, NULL, NULL`, end: true, value: 8}, true},
		{`7 write(4<socket:[1]>, "x) = 0 ", 7 <detached ...>`, event{thread: 7, call: "write", file: "socket:[1]", args: `4<socket:[1]>, "x) = 0 ", 7 <detached ...>`, begin: true}, true},
		{`7 read(4<socket:[1]>, 0x7ffd, 9) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)`, event{
			thread: 7, call: "read", file: "socket:[1]", begin: true,
			args: "4<socket:[1]>, 0x7ffd, 9) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)",
		}, true},
		{`7 sync() = 0`, event{thread: 7, call: "sync", args: "", begin: true, end: true}, true},
		{`7 +++ exited with 0 +++`, event{}, false},
		{`7 --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL} ---`, event{}, false},
		{`7 <... fsync resumed> <unfinished ...>`, event{}, false},
		{`strace: Process 1 attached`, event{}, false},
		{``, event{}, false},
		{`7 `, event{}, false},
		{`7 (`, event{}, false},
	} {
		got, ok := parseLine(test.line)
		if ok != test.ok || ok && got != test.want {
			t.Errorf("%q:\n%+v %v, want\n%+v %v", test.line, got, ok, test.want, test.ok)
		}
	}
}

func TestAppendText(t *testing.T) {
	for args, want := range map[string]string{
		`4<socket:[1]>, "250 ok\r\n", 8, 0, NULL, 0`:                                   "250 ok\r\n",
		`4<socket:[1]>, [{iov_base="250 ", iov_len=4}, {iov_base="ok", iov_len=2}], 2`: "250 ok",
		`"a\"b\\c\303\2610\0"`: "a\"b\\c\303\2610\x00",
		`"cut"..., 10`:         "cut",
		`"no end`:              "no end",
		`"\`:                   `\`,
		`NULL`:                 "",
	} {
		if got := string(appendText(nil, args)); got != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
}

// Logs with one connection or two, as threads 1 and 2, and a syncing thread 3.
func TestOrder(t *testing.T) {
	const (
		ask    = `1 write(4<socket:[1]>, "250 ok\r\n250 ok\r\n354 go\r\n", 22) = 22`
		text   = `1 read(4<socket:[1]>, "x\r\n.\r\n", 4096) = 6`
		reply  = `1 write(4<socket:[1]>, "250 2.0.0 queued\r\n", 18) = 18`
		synced = `1 fsync(5</q/1>) = 0`
	)
	for _, test := range []struct {
		name            string
		lines           []string
		replies, synced int64
		syncs           int64
	}{
		{"in order", []string{ask, text, synced, reply}, 1, 1, 1},
		{"reply first", []string{ask, text, reply, synced}, 1, 0, 1},
		{"sync before the text", []string{ask, synced, text, reply}, 1, 0, 1},
		{"no sync", []string{ask, text, reply}, 1, 0, 0},
		{"the sync fails", []string{ask, text, `1 fsync(5</q/1>) = -1 EIO (Input/output error)`, reply}, 1, 0, 0},
		{"begun before the text", []string{`3 fdatasync(9</wal> <unfinished ...>`, ask, text, `3 <... fdatasync resumed>) = 0`, reply}, 1, 0, 1},
		{"by another thread", []string{ask, text, `3 fdatasync(9</wal> <unfinished ...>`, `2 read(3</x>, "", 1) = 0`, `3 <... fdatasync resumed>) = 0`, reply}, 1, 1, 1},
		{"not ended", []string{ask, text, `3 fdatasync(9</wal> <unfinished ...>`, reply, `3 <... fdatasync resumed>) = 0`}, 1, 0, 1},
		{"two texts, one sync of the first", []string{
			ask, text, `2 sendto(7<socket:[2]>, "354 go\r\n", 8, 0, NULL, 0) = 8`, `1 fsync(5</q/1>) = 0`,
			`2 recvfrom(7<socket:[2]>, "y\r\n.\r\n", 4096, 0, NULL, NULL) = 6`, reply,
			`2 sendto(7<socket:[2]>, "250 ok\r\n", 8, 0, NULL, 0) = 8`,
		}, 2, 1, 1},
		{"refused", []string{ask, text, `1 write(4<socket:[1]>, "451 later\r\n", 11) = 11`}, 0, 0, 0},
		{"reply and next request in one", []string{ask, text, synced, `1 write(4<socket:[1]>, "250 queued\r\n250 ok\r\n354 go\r\n", 27) = 27`, text, reply}, 2, 1, 1},
		{"reply in two buffers", []string{ask, text, synced, `1 writev(4<socket:[1]>, [{iov_base="250 ", iov_len=4}, {iov_base="ok\r\n", iov_len=4}], 2) = 8`}, 1, 1, 1},
		{"an empty read is no text", []string{ask, text, synced, `1 read(4<socket:[1]>, 0x1, 9) = -1 EAGAIN (Resource temporarily unavailable)`, reply}, 1, 1, 1},
		{"mapped file", []string{ask, text, `1 msync(0x7f00, 4096, MS_ASYNC) = 0`, reply, ask, text, `1 msync(0x7f00, 4096, MS_SYNC) = 0`, reply}, 2, 1, 1},
		{"a file that says 354", []string{`1 write(5</q/1>, "354 \r\n", 6) = 6`, reply}, 0, 0, 0},
	} {
		o := newOrder()
		if err := readTrace(strings.NewReader(strings.Join(test.lines, "\n")), o.add); err != nil {
			t.Fatal(err)
		}
		if o.replies != test.replies || o.synced != test.synced || o.syncs != test.syncs {
			t.Errorf("%s: %d of %d replies after a sync, %d syncs; want %d of %d, %d", test.name,
				o.synced, o.replies, o.syncs, test.synced, test.replies, test.syncs)
		}
	}
}

// Whatever a log has in it: it is read, and the counts fit together.
func FuzzTrace(f *testing.F) {
	f.Add("1 fsync(5</q>) = 0\n2 write(4<socket:[1]>, \"354 go\\r\\n\", 8) = 8\n2 read(4<socket:[1]>,  <unfinished ...>\n2 <... read resumed>\"x\", 9) = 1\n")
	f.Add("1 write(4<socket:[1]>, \"\\377\\0\\\"250\", 8 <detached ...>")
	f.Add("1 <... fsync resumed>) = 0\n1 msync(0x1, 2, MS_SYNC) = ?")
	f.Fuzz(func(t *testing.T, log string) {
		o, events := newOrder(), 0
		err := readTrace(strings.NewReader(log), func(e event) {
			events++
			if !e.begin && !e.end || e.call == "" {
				t.Errorf("event %+v", e)
			}
			o.add(e)
		})
		if err != nil {
			t.Fatal(err)
		}
		if o.synced > o.replies || o.syncs > int64(events) || events > strings.Count(log, "\n")+1 {
			t.Errorf("%d events: %+v", events, o)
		}
	})
}

func TestVerdict(t *testing.T) {
	good := order{replies: 20, synced: 20, syncs: 20}
	all := evidence{accepted: 1020, remaining: 1020, single: good, crowd: order{replies: 400, synced: 400, syncs: 100}, syncs: 90, messages: 400}
	with := func(change func(*evidence)) evidence {
		e := all
		change(&e)
		return e
	}
	for _, test := range []struct {
		name string
		e    evidence
		want string
		by   []string
	}{
		{"shared", all, "D3", []string{"all of 1020", "20 of 20", "400 of 400", "0.23 syncs"}},
		{"each", with(func(e *evidence) { e.syncs = 400 }), "D2", []string{"1.00 syncs"}},
		{"lost", with(func(e *evidence) { e.remaining = 1019 }), "D0", []string{"1 of 1020"}},
		{"more than accepted, where a reply was cut off", with(func(e *evidence) { e.remaining = 1021 }), "D3", nil},
		{"unseen", with(func(e *evidence) { e.unseen = ErrNoStrace }), "D1", []string{"not looked at", "strace"}},
		{"no syncs", with(func(e *evidence) { e.single, e.crowd, e.syncs = order{replies: 20}, order{replies: 400}, 0 }), "D1", []string{"no sync"}},
		{"no replies", with(func(e *evidence) { e.single.replies = 0 }), "D1", []string{"no reply was seen"}},
		{"one reply too early", with(func(e *evidence) { e.crowd.synced-- }), "D1", []string{"399 of 400"}},
	} {
		got := test.e.verdict()
		if got.Class != test.want || slices.ContainsFunc(test.by, func(s string) bool { return !strings.Contains(got.By, s) }) {
			t.Errorf("%s: %+v, want %s by %q", test.name, got, test.want, test.by)
		}
	}
}
