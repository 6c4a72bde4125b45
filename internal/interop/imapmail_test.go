//go:build interop

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// writeMaildir makes a mailbox of n messages such as lists and people send, which
// belongs to the owner of the folder that all homes are in.
func writeMaildir(t *testing.T, dir string, n int) {
	t.Helper()
	home := filepath.Dir(dir)
	info, err := os.Stat(filepath.Dir(home))
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	own := func(name string) {
		if err := os.Chown(name, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{home, dir, dir + "/cur", dir + "/new", dir + "/tmp"} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		own(folder)
	}
	base := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	for i := range n {
		at := base.Add(time.Duration(i) * 97 * time.Second)
		text := rateMessage(i, at)
		flags := [...]string{"S", "", "RS", "FS"}[i%4]
		name := filepath.Join(dir, "cur", fmt.Sprintf("%d.M%dP1.bench,S=%d:2,%s", at.Unix(), i, len(text), flags))
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		own(name)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

// rateMessage is message i of such a mailbox, with lines that end in LF.
func rateMessage(i int, at time.Time) string {
	date := at.Format(time.RFC1123Z)
	who := [...]string{"Alice Example", "Bob Builder", "Caf\u00e9 Central", "The Postmaster", "Dr. Dora D. Dorn"}[i%5]
	if i%5 == 2 {
		who = "=?UTF-8?Q?Caf=C3=A9_Central?="
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Return-Path: <bounce-%d@lists.example.net>\n", i)
	for hop := range 3 {
		fmt.Fprintf(&b, "Received: from out%d.example.net (out%d.example.net [192.0.2.%d])\n\tby mx%d.example.org (Postfix) with ESMTPS id 4Rq%05dz%d\n\tfor <u0@mail.bench.test>; %s\n",
			hop, hop, i%250+1, hop, i, hop, date)
	}
	fmt.Fprintf(&b, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=k%d;\n\th=from:to:subject:date:message-id; bh=%s;\n\tb=%s\n",
		i%7, strings.Repeat("Zm9v", 11), strings.Repeat("c2lnbmF0dXJl", 24))
	fmt.Fprintf(&b, "From: %s <sender%d@example.net>\nTo: \"The users\" <u0@mail.bench.test>, users%d@example.org\n", who, i%97, i%13)
	if i%3 == 0 {
		fmt.Fprintf(&b, "Cc: copy%d@example.org, Carbon Copy <cc@example.com>\n", i%31)
	}
	fmt.Fprintf(&b, "Subject: Report %d on the harvest of the %dth week\nDate: %s\nMessage-ID: <%d.%d@lists.example.net>\n", i, i%52, date, at.Unix(), i)
	if i%2 == 1 {
		fmt.Fprintf(&b, "In-Reply-To: <%d.%d@lists.example.net>\nReferences: <%d.0@lists.example.net>\n <%d.%d@lists.example.net>\n", at.Unix()-97, i-1, at.Unix(), at.Unix()-97, i-1)
	}
	fmt.Fprintf(&b, "List-Id: <harvest.lists.example.net>\nX-Mailer: Example 1.0\nMIME-Version: 1.0\n")
	line := "A line of a text that says little, but says it at some length, as mail does.\n"
	if i%2 == 0 {
		fmt.Fprintf(&b, "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n%s", strings.Repeat(line, 10+i%40))
		return b.String()
	}
	fmt.Fprintf(&b, "Content-Type: multipart/alternative; boundary=\"=_%d\"\n\n--=_%d\nContent-Type: text/plain; charset=utf-8\n\n%s", i, i, strings.Repeat(line, 5+i%10))
	fmt.Fprintf(&b, "--=_%d\nContent-Type: text/html; charset=utf-8\n\n<html><body><p>%s</p></body></html>\n--=_%d--\n", i, strings.Repeat(line, 10+i%20), i)
	return b.String()
}
