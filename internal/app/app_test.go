package app_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/bench/sink"
	"postrider/internal/app"
	"postrider/internal/config"
	"postrider/queue"
)

func route(domain, hop string) string {
	return fmt.Sprintf("[[route]]\ndomain = %q\nnext_hop = %q\n", domain, hop)
}

// The whole way: in by SMTP, durable, out by SMTP, and its life in the log under
// the one id of the 250.
// Covers R1, R9, O1, O2, D4, Q3, Q4, G4, HS8.
func TestMessageGoesItsWholeWay(t *testing.T) {
	h := newHop(t, sink.Options{},
		sink.Rule{At: sink.AtRcpt, Domain: "later.example", Reply: "451 4.2.1 busy"},
		sink.Rule{At: sink.AtRcpt, Domain: "never.example", Reply: "550 5.1.1 nobody"})
	a := start(t, relayListener+route("*", "smtp:"+h.addr))
	c := a.dial("127.0.0.1").hello()
	id := c.send("Subject: x\r\n\r\nbody", "a@one.example", "b@later.example", "c@never.example", "d@two.example", "A@one.example", "a@ONE.example")
	await(t, "two recipients delivered, one failed, one deferred", func() bool {
		n := a.Engine().Queue().Counts().States
		return a.Engine().Ledger().Ended == 3 && n[queue.Deferred].Recipients == 1 && n[queue.Failed].Recipients == 1
	})
	if got := h.Counts().Recipients; got != 3 { // a@one, A@one and d@two: a@ONE is a@one again
		t.Errorf("the next hop took %d recipients, want 3", got)
	}
	if l := a.Engine().Ledger(); l.Accepted != 5 || l.Queued != 2 || l.Imbalance() != 0 {
		t.Errorf("ledger %+v", l)
	}
	a.stop()
	if got := len(a.events(id)); got != 6 {
		t.Errorf("%d lines carry the id, want accepted and five outcomes:\n%s", got, strings.Join(a.events(id), ""))
	}
	for _, want := range [][]string{
		{`"ev":"accepted"`, `"from":"sender@example.org"`, `"nrcpt":5`},
		{`"ev":"delivered"`, `"to":"a@one.example"`, `"attempt":1`, `"code":250`},
		{`"ev":"deferred"`, `"to":"b@later.example"`, `"code":451`, `"enh":"4.2.1"`, `"reply":"busy"`, `"next":"`},
		{`"ev":"failed"`, `"to":"c@never.example"`, `"code":550`, `"rid":3`, `"class":"no_user"`},
	} {
		if len(a.events(append(want, id)...)) != 1 {
			t.Errorf("no line with %v:\n%s", want, strings.Join(a.events(id), ""))
		}
	}
	lines := a.events(id)
	if !strings.Contains(lines[0], `"ev":"accepted"`) {
		t.Errorf("the first line is not accepted: %s", lines[0])
	}
}

// What waited when the daemon stopped is there when it starts, and goes on.
// Covers Q1, Q4, D17.
func TestRestartKeepsWhatWaits(t *testing.T) {
	dir := t.TempDir()
	h := newHop(t, sink.Options{}, sink.Rule{At: sink.AtRcpt, Domain: "never.example", Reply: "550 5.1.1 nobody"})
	busy := newHop(t, sink.Options{}, sink.Rule{At: sink.AtRcpt, Reply: "450 4.2.1 later"})
	a := startIn(t, dir, configure(t, dir, relayListener+"[queue]\nretry_min = \"1s\"\n"+route("*", "smtp:"+busy.addr)), nil)
	id := a.dial("127.0.0.1").hello().send("Subject: x\r\n\r\nbody", "a@one.example", "c@never.example")
	await(t, "both deferred", func() bool { return a.Engine().Queue().Counts().States[queue.Deferred].Recipients == 2 })
	a.stop()
	a = startIn(t, dir, configure(t, dir, relayListener+"[queue]\nretry_min = \"1s\"\n"+route("*", "smtp:"+h.addr)), nil)
	await(t, "one delivered, one bounced, and the notice delivered", func() bool {
		return h.Counts().Recipients == 2 && a.Engine().Ledger().Queued == 0
	})
	if l := a.Engine().Ledger(); l.Inherited != 2 || l.Imbalance() != 0 {
		t.Errorf("ledger %+v", l)
	}
	a.stop()
	if len(a.events(id, `"ev":"delivered"`)) != 1 || len(a.events(id, `"ev":"failed"`)) != 1 || len(a.events(id, `"ev":"bounced"`)) != 1 || len(a.events(`"id":"`+id, `"ev":"accepted"`)) != 1 {
		t.Errorf("life of %s:\n%s", id, strings.Join(a.events(id), ""))
	}
}

// Hops that are no server: held stays, discarded ends, rejected and nobody's are
// refused.
// Covers A7.
func TestHopsWithoutServer(t *testing.T) {
	a := start(t, relayListener+"[local]\ndomains = [\"here.example\"]\n"+
		route("hold.example", "hold")+route("void.example", "discard")+route("no.example", "reject"))
	c := a.dial("127.0.0.1").hello()
	c.want("MAIL FROM:<>", "250 ")
	c.want("RCPT TO:<u@no.example>", "550 5.7.1 ")
	c.want("RCPT TO:<u@here.example>", "550 5.1.1 ") // no such user
	c.want("RSET", "250 ")
	id := c.send("Subject: x\r\n\r\nbody", "u@hold.example", "u@void.example", "Postmaster")
	await(t, "two held, one dropped", func() bool {
		return a.Engine().Queue().Counts().States[queue.Held].Recipients == 2 && a.Engine().Ledger().Ended == 1
	})
	a.stop()
	if len(a.events(id, `"ev":"held"`)) != 2 || len(a.events(id, `"ev":"dropped"`, `"rule":"discard"`)) != 1 {
		t.Errorf("life of %s:\n%s", id, strings.Join(a.events(id), ""))
	}
}

// The open-relay matrix, asked by a client from outside the trusted networks.
// Covers A1, HO1, HO2.
func TestNoOpenRelay(t *testing.T) {
	h := newHop(t, sink.Options{})
	a := start(t, relayListener+"[relay]\nnetworks = [\"127.0.0.1/32\"]\ndomains = [\"backup.example\"]\n"+route("*", "smtp:"+h.addr))
	c := a.dial("127.0.0.2").hello()
	for _, from := range []string{"u@ext.example", "", "u@backup.example", "u@[127.0.0.1]", "postmaster@mta.example.org"} {
		c.want("MAIL FROM:<"+from+">", "250 ")
		for _, to := range []string{
			"u@ext.example", "u%ext.example@[127.0.0.1]", `"u@ext.example"@[127.0.0.1]`, "u@[127.0.0.1]", "u@[IPv6:::1]", "u@127.1",
			"u@0x7f000001", "u@mta.example.org", "ext.example!u@[127.0.0.1]", "u@backup.example.ext.example", "u@xbackup.example",
			"@backup.example:u@ext.example", "@[127.0.0.1]:u@ext.example", "u@sub.backup.example",
			"u%ext.example@BACKUP.example", `"u@ext.example"@backup.example`, "ext.example!u@backup.example",
		} {
			if got := c.say("RCPT TO:<" + to + ">"); !strings.HasPrefix(got, "550 5.7.1") && !strings.HasPrefix(got, "50") && !strings.HasPrefix(got, "553") && !strings.HasPrefix(got, "55") {
				t.Errorf("from <%s> to <%s>: %q", from, to, got)
			}
		}
		for _, to := range []string{
			`"u@ext.example"`, `"u%ext.example"`, "u@ext.example@[127.0.0.1]", "u@ext.example@backup.example", "ext.example!u", "",
			"u@backup.example.", "u@backup.example%00ext.example", "u@ext.example(comment)", "u@\xd0\xb5xt.example",
		} {
			if got := c.say("RCPT TO:<" + to + ">"); !strings.HasPrefix(got, "5") {
				t.Errorf("from <%s> to <%s>: %q", from, to, got)
			}
		}
		c.want("RCPT TO:<u+x=y@BACKUP.example>", "250 ") // the domain we are backup for
		c.want("RCPT TO:<postmaster>", "250 ")
		c.want("RSET", "250 ")
	}
	c.want("XCLIENT ADDR=127.0.0.1", "50")
	if got := c.say("PROXY TCP4 127.0.0.1 127.0.0.1 1 25"); !strings.HasPrefix(got, "5") {
		t.Errorf("PROXY: %q", got)
	}
	if got := a.Engine().Ledger().Accepted; got != 0 {
		t.Errorf("%d recipients were accepted", got)
	}
	trusted := a.dial("127.0.0.1").hello()
	trusted.send("Subject: x\r\n\r\nbody", "u@ext.example")
	a.stop()
	if len(a.events(`"ev":"rejected"`, `"cmd":"rcpt"`, `"to":"u@ext.example"`, `"client":"127.0.0.2"`)) == 0 {
		t.Error("no event names the recipient that was refused")
	}
	if odd := a.events(`"to":"TO:`); len(odd) != 0 {
		t.Errorf("an argument is logged as an address: %s", odd[0])
	}
}

// A reload swaps routes, networks and limits whole; a file with an error changes
// nothing; waiting mail takes the new road.
// Covers N1.
func TestReload(t *testing.T) {
	h := newHop(t, sink.Options{})
	a := start(t, relayListener+route("*", "hold")+"[relay]\nnetworks = [\"127.0.0.0/8\"]\nmax_message_size = \"1MB\"\n")
	c := a.dial("127.0.0.1").hello()
	c.want("MAIL FROM:<a@b.example> SIZE=2000000", "552 5.3.4")

	configure(t, a.dir, relayListener+"[[route]]\ndomian = \"*\"\n")
	if err := a.Reload(); err == nil || !strings.Contains(err.Error(), "domian") {
		t.Errorf("a bad file was taken: %v", err)
	}
	if err := os.WriteFile(a.file, nil, 0o600); err != nil { // as a reload meets one that is written in place
		t.Fatal(err)
	}
	if err := a.Reload(); err == nil || !strings.Contains(err.Error(), "version = 1") {
		t.Errorf("an empty file was taken: %v", err)
	}
	c.send("Subject: x\r\n\r\nbody", "u@hold.example")

	configure(t, a.dir, relayListener+route("*", "smtp:"+h.addr)+"[relay]\nnetworks = [\"127.0.0.2/32\"]\nmax_message_size = \"3MB\"\n")
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	c.want("MAIL FROM:<a@b.example>", "250 ")
	c.want("RCPT TO:<u@ext.example>", "550 5.7.1") // the session lives, and is no longer trusted
	c2 := a.dial("127.0.0.2").hello()
	c2.want("MAIL FROM:<a@b.example> SIZE=2000000", "250 ")
	c2.want("RSET", "250 ")
	c2.send("Subject: x\r\n\r\nbody", "u@ext.example")
	await(t, "delivery by the new route", func() bool { return h.Counts().Messages == 1 })
	a.stop()
	if len(a.events(`"ev":"config_rejected"`)) != 2 || len(a.events(`"ev":"config_loaded"`)) != 2 {
		t.Errorf("events of the reloads:\n%s", strings.Join(a.events(`"ev":"config`), ""))
	}
}

// Stop lets a transaction in DATA finish, tells idle and new clients 421, and
// settles what is in flight.
// Covers C2.
func TestDrain(t *testing.T) {
	h := newHop(t, sink.Options{}, sink.Rule{At: sink.AtEnd, Delay: 300 * time.Millisecond})
	a := start(t, relayListener+route("*", "smtp:"+h.addr))
	inFlight := a.dial("127.0.0.1").hello()
	inFlight.send("Subject: in flight\r\n\r\nbody", "u@x.example")
	await(t, "the delivery to begin", func() bool {
		return a.Engine().Queue().Counts().States[queue.InFlight].Recipients == 1
	})
	idle := a.dial("127.0.0.1").hello()
	busy := a.dial("127.0.0.1").hello()
	busy.want("MAIL FROM:<a@b.example>", "250 ")
	busy.want("RCPT TO:<u@x.example>", "250 ")
	busy.want("DATA", "354")
	fmt.Fprintf(busy.conn, "Subject: late\r\n\r\nbody\r\n")
	stopped := make(chan struct{})
	ap := a.App
	go func() { defer close(stopped); a.stop() }()
	if got := idle.reply(); !strings.HasPrefix(got, "421 ") {
		t.Errorf("the idle client was told %q", got)
	}
	if got := late(t, ap.Addresses()[0]); !strings.HasPrefix(got, "421 4.3.2 ") {
		t.Errorf("a new client was told %q", got)
	}
	busy.want(".", "250 2.0.0 queued as ")
	<-stopped
	l := ap.Engine().Ledger()
	if l.Accepted != 2 || l.Imbalance() != 0 {
		t.Errorf("ledger %+v", l)
	}
	if got := h.Counts().Messages; got != l.Ended {
		t.Errorf("the next hop took %d, the ledger says %d ended", got, l.Ended)
	}
}

// late is what a client hears that comes during a drain.
func late(t *testing.T, address string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// A next hop that never answers the final dot does not hold a stop beyond its
// deadline: what it may have is deferred, the log says why, and the next start
// has it.
// Covers C2.
func TestDrainEndsInTime(t *testing.T) {
	h := newHop(t, sink.Options{}, sink.Rule{At: sink.AtEnd, Delay: time.Hour})
	dir := t.TempDir()
	file := configure(t, dir, relayListener+route("*", "smtp:"+h.addr))
	a := startIn(t, dir, file, nil)
	a.dial("127.0.0.1").hello().send("Subject: stuck\r\n\r\nbody", "u@x.example")
	await(t, "the delivery to begin", func() bool {
		return a.Engine().Queue().Counts().States[queue.InFlight].Recipients == 1
	})
	c := a.dial("127.0.0.1").hello()
	c.want("MAIL FROM:<a@b.example>", "250 ")
	c.want("RCPT TO:<u@x.example>", "250 ")
	c.want("DATA", "354") // and never ends it
	// The deadline, and as much again for a busy machine to get to it.
	const deadline = 1500 * time.Millisecond
	if took := a.stopWithin(deadline); took > 2*deadline {
		t.Errorf("the stop took %v", took)
	}
	if got := a.events(`"ev":"deferred"`, `"enh":"4.3.2"`); len(got) != 1 {
		t.Errorf("events of the cut:\n%s", strings.Join(a.events(`"ev":"deferred"`), ""))
	}
	if got := len(a.events(`"ev":"stop"`)); got != 1 {
		t.Errorf("%d stop events", got)
	}
	b := startIn(t, dir, file, nil)
	if n := b.Engine().Queue().Counts().States[queue.Deferred].Recipients; n != 1 {
		t.Errorf("%d recipients are deferred after the restart", n)
	}
}

// A stop while the disk hangs ends the sessions that wait for a commit before it
// closes what they use.
func TestStopWhileADiskHangs(t *testing.T) {
	dir := t.TempDir()
	disk := hungDisk{hangs: make(chan struct{}, 1), open: make(chan struct{})}
	a := startIn(t, dir, configure(t, dir, relayListener+route("*", "hold")), func(o *queue.Options) {
		o.FS = errorfs.Wrap(vfs.Default, &disk)
	})
	disk.shut.Store(true)
	const sessions = 20
	var replies [sessions]chan string
	for i := range replies {
		replies[i] = make(chan string, 1)
		c := a.dial("127.0.0.1").hello()
		c.want("MAIL FROM:<a@b.example>", "250 ")
		c.want("RCPT TO:<u@x.example>", "250 ")
		c.want("DATA", "354")
		go func() {
			_, _ = fmt.Fprintf(c.conn, "Subject: x\r\n\r\n.\r\n")
			b, _ := io.ReadAll(c.conn)
			replies[i] <- string(b)
		}()
	}
	<-disk.hangs
	told := make(chan struct{})
	go func() {
		defer close(told)
		for i := range replies {
			if got := <-replies[i]; strings.HasPrefix(got, "250") {
				t.Errorf("session %d was told %q", i, got)
			}
		}
		close(disk.open) // the sessions have ended before it lets go
	}()
	a.stopWithin(3 * time.Second)
	<-told
}

// A next hop that can't be reached costs no message an attempt, and mail moves
// as soon as it is there.
func TestHopThatIsDown(t *testing.T) {
	h := newHop(t, sink.Options{}, sink.Rule{At: sink.AtConnect, Reply: "421 4.3.2 not now"})
	a := start(t, relayListener+route("*", "smtp:"+h.addr))
	c := a.dial("127.0.0.1").hello()
	for range 20 {
		c.send("Subject: x\r\n\r\nbody", "u@x.example")
	}
	await(t, "the lane to pause", func() bool {
		for _, l := range a.Engine().Lanes() {
			if !l.PausedUntil.IsZero() && l.Reason.Code == 421 {
				return true
			}
		}
		return false
	})
	n := a.Engine().Queue().Counts().States
	if n[queue.Ready].Recipients != 20 || n[queue.Deferred].Recipients != 0 {
		t.Errorf("counts %+v: a probe must not cost attempts", n)
	}
	a.stop()
	if got := len(a.events(`"ev":"deferred"`)); got != 0 {
		t.Errorf("%d messages were logged as deferred", got)
	}
}

// A full disk is answered at MAIL, delivery goes on, and the end of it needs
// nobody.
// Covers Q16, G6.
func TestDiskFull(t *testing.T) {
	h := newHop(t, sink.Options{})
	var free fakeDisk
	free.set(10 << 30)
	dir := t.TempDir()
	a := startIn(t, dir, configure(t, dir, relayListener+route("*", "smtp:"+h.addr)), func(o *queue.Options) { o.DiskFree = free.get })
	c := a.dial("127.0.0.1").hello()
	c.send("Subject: x\r\n\r\nbody", "u@x.example")
	free.set(1 << 20)
	await(t, "452 at MAIL", func() bool {
		got := c.say("MAIL FROM:<a@b.example>")
		c.want("RSET", "250 ")
		return strings.HasPrefix(got, "452 4.3.1 ")
	})
	await(t, "delivery to go on", func() bool { return h.Counts().Messages == 1 })
	free.set(10 << 30)
	await(t, "acceptance again", func() bool {
		got := c.say("MAIL FROM:<a@b.example>")
		c.want("RSET", "250 ")
		return strings.HasPrefix(got, "250 ")
	})
}

// Two processes cannot have one queue.
// Covers G7.
func TestSecondStartIsRefused(t *testing.T) {
	a := start(t, relayListener+route("*", "hold"))
	cfg, err := config.Load(a.file)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Listeners[0].Host = "127.0.0.1:0"
	second, err := app.Start(t.Context(), cfg, app.Options{})
	if err == nil {
		_ = second.Stop(t.Context(), "test")
		t.Fatal("a second appliance runs on the same queue")
	}
	if !strings.Contains(err.Error(), "another process") && !strings.Contains(err.Error(), "in use") {
		t.Errorf("the refusal does not say why: %v", err)
	}
	if _, err := os.Stat(cfg.Admin.Socket); err != nil {
		t.Errorf("the running appliance lost its socket: %v", err)
	}
}
