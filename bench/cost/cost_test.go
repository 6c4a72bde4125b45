package cost

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// spend is a shell program that uses CPU in a child that has ended when it ends.
const spend = `sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; echo done; cat`

func TestGroup(t *testing.T) {
	g, err := NewGroup("cost-test")
	if err != nil {
		t.Logf("groups cannot be made here: %v", err)
		return
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	cmd := exec.Command("sh", "-c", spend)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	before, err := g.Sample()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := g.Kill(context.Background()); err != nil {
			t.Log(err)
		}
		_ = cmd.Wait()
	})
	if _, err := stdout.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	after, err := g.Sample()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", after)
	if c := Between(before, after, 1, 1); c.UserSeconds+c.SystemSeconds < 0.01 {
		t.Errorf("CPU of an ended child: %v", c)
	}
	if after.Processes < 1 || after.OpenFiles < 3 || after.RSSBytes <= 0 {
		t.Errorf("sample %+v", after)
	}
}

func TestDiskUsage(t *testing.T) {
	dir := t.TempDir()
	empty, err := DiskUsage(dir)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "a")
	if err := os.WriteFile(name, make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(name, filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	full, err := DiskUsage(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := full - empty; got < 100_000 || got > 150_000 {
		t.Errorf("100,000 bytes with two names take %d", got)
	}
}
