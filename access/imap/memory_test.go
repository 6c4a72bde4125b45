//go:build !race

package imap_test

import (
	"bufio"
	"compress/flate"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Sessions in IDLE, each of another user with a mailbox selected, cost little memory:
// 10,000 of them by TLS at most 200 MB. Fewer are opened here; with
// IMAP_IDLE_CONNECTIONS=10000 it is all of them.
//
// Covers HI10, HR2.
func TestIdleMemory(t *testing.T) {
	conns := 400
	if n, err := strconv.Atoi(os.Getenv(connectionsEnv)); err == nil {
		conns = n
	}
	for _, c := range []struct {
		kind      string
		mostBytes int
	}{{"tls", 20_000}, {"deflate", 12_000}} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			measureIdle(t, c.kind, conns, c.mostBytes)
		})
	}
}

func measureIdle(t *testing.T, kind string, conns, mostBytes int) {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), memoryEnv+"="+kind)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	out := bufio.NewReader(pipe)
	var address string
	if _, err := fmt.Fscan(out, &address); err != nil {
		t.Fatal(err)
	}
	measure := func(line string) (kilobytes int) {
		if _, err := fmt.Fprintln(in, line); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fscan(out, &kilobytes); err != nil {
			t.Fatal(err)
		}
		return kilobytes
	}
	// settle measures until sessions have parked and nothing changes any more.
	settle := func() (kilobytes int) {
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
			was := kilobytes
			if kilobytes = measure(""); kilobytes > was-64 && kilobytes < was+64 {
				break
			}
		}
		return kilobytes
	}
	const warm = 100 // what is made once
	measure(strconv.Itoa(warm + conns))
	first := idleMany(t, address, kind, 0, warm)
	defer shut(first)
	before := settle()
	idle := idleMany(t, address, kind, warm, conns)
	defer shut(idle)
	after := settle()
	each := (after - before) * 1024 / conns
	for deadline := time.Now().Add(time.Minute); each > mostBytes && time.Now().Before(deadline); {
		after = measure("")
		each = (after - before) * 1024 / conns
	}
	t.Logf("%d connections: %d KiB resident, %d with %d, %d bytes each", conns+warm, after, before, warm, each)
	if each > mostBytes {
		t.Errorf("an idle connection takes %d bytes, more than %d", each, mostBytes)
	}
}

func shut(conns []net.Conn) {
	for _, nc := range conns {
		_ = nc.Close()
	}
}

// idleMany opens sessions of users from first on, from many addresses, and has them idle.
func idleMany(t *testing.T, address, kind string, first, n int) []net.Conn {
	conns := make([]net.Conn, n)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := w; i < n; i += 16 {
				nc, err := idleOne(address, kind, first+i)
				if err != nil {
					t.Error(err)
					return
				}
				conns[i] = nc
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return conns
}

func idleOne(address, kind string, i int) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 9, byte(i/200), byte(1+i%200))}}
	nc, err := d.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if kind == "tls" {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	say := func(text, until string) error {
		if _, err := nc.Write([]byte(text)); err != nil {
			return err
		}
		var got []byte
		for !strings.Contains(string(got), until) {
			b := make([]byte, 2048)
			n, err := nc.Read(b)
			if err != nil {
				return fmt.Errorf("%q, %w", got, err)
			}
			got = append(got, b[:n]...)
		}
		return nil
	}
	long := strings.Repeat("1,3,", 200) + "11" // what is made of it must not stay
	login := fmt.Sprintf("a LOGIN user%d@mx.example \"%s\"\r\nb SELECT INBOX\r\nc UID FETCH %s (FLAGS UID BODY.PEEK[])\r\n", i, password, long)
	if kind != "deflate" {
		return nc, say(login+"d IDLE\r\n", "+ idling")
	}
	if err := say(login+"d COMPRESS DEFLATE\r\n", "d OK"); err != nil {
		return nil, err
	}
	return compressIdle(nc)
}

// compressIdle begins IDLE on a connection that has been compressed.
func compressIdle(nc net.Conn) (net.Conn, error) {
	w, err := flate.NewWriter(nc, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	_, e1 := w.Write([]byte("e IDLE\r\n"))
	if err := errors.Join(e1, w.Flush()); err != nil {
		return nil, err
	}
	got := make([]byte, len("+ idling\r\n"))
	_, err = io.ReadFull(flate.NewReader(nc), got)
	return nc, err
}
