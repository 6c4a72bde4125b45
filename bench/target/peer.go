package target

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// peer is a server that cannot be installed beside Postfix and has its paths
// compiled in. It runs from an unpacked package, in a mount namespace in which
// these paths lie in the scratch folder and its user exists.
type peer struct {
	dir    string  // scratch
	root   string  // of the unpacked package, as the server sees it; "": the system's
	mounts []mount // what private lays over the system
}

// peerUser is a user that exists for peers only.
type peerUser struct {
	name string
	id   int // of the user and of its group
}

// newPeer finds program, a path below the root of a package, and makes the private
// folders.
func newPeer(o Options, dir, folder, program, debianPackage string) (*peer, error) {
	if err := needRoot(); err != nil {
		return nil, err
	}
	if err := passable(dir); err != nil {
		return nil, err
	}
	p := &peer{dir: dir}
	root, err := filepath.Abs(filepath.Join(o.PeerRoot, folder))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(root, program)); err == nil {
		// Below the scratch folder its user can reach it, wherever it is.
		p.root = filepath.Join(dir, "package")
		if err := os.MkdirAll(p.root, 0o755); err != nil {
			return nil, err
		}
		p.mounts = append(p.mounts, mount{root, p.root})
	} else if _, err := os.Stat("/" + program); err != nil {
		return nil, fmt.Errorf("%s: %w, neither in %s nor in / (Debian package %s; as root, bench/peers downloads and unpacks it)",
			filepath.Base(program), ErrNotInstalled, root, debianPackage)
	}
	return p, nil
}

// path is where the server sees a file of its package.
func (p *peer) path(name string) string { return filepath.Join("/", p.root, name) }

// hash is that of a file of its package.
func (p *peer) hash(name string) (string, error) {
	if p.root == "" {
		return hash("/" + name)
	}
	return hash(filepath.Join(p.mounts[0].from, name))
}

// lay lays a new folder of the scratch folder over one of the system's.
func (p *peer) lay(name, onto string) error {
	if p.dir == onto || strings.HasPrefix(p.dir, onto+"/") {
		return fmt.Errorf("the scratch folder %s must not be in %s, which this server sees empty", p.dir, onto)
	}
	from := filepath.Join(p.dir, name)
	p.mounts = append(p.mounts, mount{from, onto})
	return os.MkdirAll(from, 0o755)
}

// etc makes an /etc with what a daemon and the C library read, and nothing of the
// system's own configuration.
func (p *peer) etc(ctx context.Context, dns string, users ...peerUser) error {
	if err := p.lay("etc", "/etc"); err != nil {
		return err
	}
	passwd := "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
	group := "root:x:0:\nmail:x:8:\nnogroup:x:65534:\n"
	shadow := "root:*:19000::::::\nnobody:*:19000::::::\n"
	for _, u := range users {
		passwd += fmt.Sprintf("%s:x:%d:%d::/nonexistent:/usr/sbin/nologin\n", u.name, u.id, u.id)
		group += fmt.Sprintf("%s:x:%d:\n", u.name, u.id)
		shadow += u.name + ":*:19000::::::\n"
	}
	files := []file{
		{"etc/passwd", passwd},
		{"etc/group", group},
		{"etc/shadow", shadow},
		{"etc/hosts", "127.0.0.1 localhost mta.bench.test\n::1 localhost\n"},
		{"etc/mailname", "mta.bench.test\n"},
		{"etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n"},
	}
	if dns != "" {
		text, err := resolvConf(dns)
		if err != nil {
			return err
		}
		files = append(files, file{"etc/resolv.conf", text})
	}
	if err := write(p.dir, files); err != nil {
		return err
	}
	copied := []string{"services", "protocols", "localtime", "ld.so.cache"}
	if dns == "" {
		copied = append(copied, "resolv.conf")
	}
	for _, name := range copied {
		text, err := os.ReadFile(filepath.Join("/etc", name))
		if err != nil {
			continue // there is a default for each
		}
		if err := os.WriteFile(filepath.Join(p.dir, "etc", name), text, 0o644); err != nil {
			return err
		}
	}
	return p.libraries(ctx)
}

// libraries lets the loader find those that were unpacked with the package. The
// environment could not: a program that gains rights does not look there.
func (p *peer) libraries(ctx context.Context) error {
	if p.root == "" {
		return nil
	}
	found, err := filepath.Glob(filepath.Join(p.mounts[0].from, "usr", "lib", "*", "*.so*"))
	if err != nil || len(found) == 0 {
		return err
	}
	folder, err := filepath.Rel(p.mounts[0].from, filepath.Dir(found[0]))
	if err != nil {
		return err
	}
	if err := write(p.dir, []file{{"etc/ld.so.conf", p.path(folder) + "\n"}}); err != nil {
		return err
	}
	program, err := find("ldconfig", "libc-bin")
	if err != nil {
		return err
	}
	// -X: only the cache, no links.
	_, err = output(ctx, private(p.mounts, []string{program, "-X"})...)
	return err
}
