package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"postrider/bench/cost"
	"postrider/bench/result"
)

// External says where a server is that somebody else has started.
type External struct {
	SMTP, LMTP, POP3, IMAP string // HOST:PORT; at least one

	// Whose cost is measured: the tree of a process or a control group; with
	// neither it is not.
	PID    int
	Cgroup string // its folder, or its path as /proc/PID/cgroup has it

	Name    string // in results; "": "external"
	Version string // as its owner says
	// Class is the durability class that its owner claims, D0 to D4. It is printed
	// as a claim, not as something verified.
	Class string
}

// ErrExternal says that the description of an external server makes no sense.
var ErrExternal = errors.New("bad description of an external server")

// ParseExternal reads a description of the form
//
//	smtp=HOST:PORT,lmtp=HOST:PORT,pop3=HOST:PORT,imap=HOST:PORT,pid=N,class=D2,version=TEXT,name=TEXT
//
// with cgroup=PATH in place of pid=N, each at most once, in any order.
func ParseExternal(text string) (External, error) {
	var x External
	fields := map[string]*string{
		"smtp": &x.SMTP, "lmtp": &x.LMTP, "pop3": &x.POP3, "imap": &x.IMAP,
		"cgroup": &x.Cgroup, "name": &x.Name, "version": &x.Version, "class": &x.Class, "pid": new(string),
	}
	for part := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(part, "=")
		field, known := fields[key]
		switch {
		case !known:
			return External{}, fmt.Errorf("%w: %q is none of smtp, lmtp, pop3, imap, pid, cgroup, class, version, name", ErrExternal, key)
		case !ok || value == "":
			return External{}, fmt.Errorf("%w: %s= needs a value", ErrExternal, key)
		case *field != "":
			return External{}, fmt.Errorf("%w: %s stands there twice", ErrExternal, key)
		}
		*field = value
	}
	return x, x.check(*fields["pid"])
}

// check checks what ParseExternal has read, and sets x.PID.
func (x *External) check(pid string) error {
	if x.SMTP+x.LMTP+x.POP3+x.IMAP == "" {
		return fmt.Errorf("%w: it has no address", ErrExternal)
	}
	for _, address := range []string{x.SMTP, x.LMTP, x.POP3, x.IMAP} {
		if address == "" {
			continue
		}
		host, port, err := net.SplitHostPort(address)
		number, bad := strconv.ParseUint(port, 10, 16)
		if err != nil || host == "" || bad != nil || number == 0 {
			return fmt.Errorf("%w: %q is not HOST:PORT", ErrExternal, address)
		}
	}
	if pid != "" {
		n, err := strconv.ParseInt(pid, 10, 32)
		if err != nil || n < 1 {
			return fmt.Errorf("%w: pid %q", ErrExternal, pid)
		}
		x.PID = int(n)
	}
	if x.PID != 0 && x.Cgroup != "" {
		return fmt.Errorf("%w: pid or cgroup, not both", ErrExternal)
	}
	if len(x.Class) > 0 && (len(x.Class) != 2 || x.Class[0] != 'D' || x.Class[1] < '0' || x.Class[1] > '4') {
		return fmt.Errorf("%w: class %q is none of D0 to D4", ErrExternal, x.Class)
	}
	return nil
}

// external is a Target that is running already.
type external struct {
	name     string
	x        External
	anywhere bool // its addresses need not be private
}

// Name implements Target.
func (e external) Name() string {
	if e.x.Name != "" {
		return e.x.Name
	}
	return "external"
}

// Speaks returns which of smtp, lmtp, pop3 and imap it has an address for.
func (e external) Speaks() []string {
	var all []string
	for _, a := range []struct{ service, address string }{
		{"smtp", e.x.SMTP}, {"lmtp", e.x.LMTP}, {"pop3", e.x.POP3}, {"imap", e.x.IMAP},
	} {
		if a.address != "" {
			all = append(all, a.service)
		}
	}
	return all
}

// Start implements Target: it looks whether the server answers. What need asks for
// is up to whoever has set the server up, but for Suspended, which it cannot be.
func (e external) Start(ctx context.Context, need Need) (Instance, error) {
	fail := func(err error) (Instance, error) { return nil, fmt.Errorf("%s: %w", e.Name(), err) }
	if need.Suspended {
		return fail(fmt.Errorf("suspended delivery: %w", ErrUnsupported))
	}
	for _, address := range []string{e.x.SMTP, e.x.LMTP, e.x.POP3, e.x.IMAP} {
		if address == "" {
			continue
		}
		if !e.anywhere {
			if err := nearby(ctx, address); err != nil {
				return fail(err)
			}
		}
		if err := greeting(ctx, address); err != nil {
			return fail(fmt.Errorf("%s does not answer: %w", address, err))
		}
	}
	f := foreign{
		info: result.Target{Name: e.Name(), Version: e.x.Version, Config: e.name},
		smtp: e.x.SMTP, lmtp: e.x.LMTP, pop3: e.x.POP3, imap: e.x.IMAP,
		meter: unmetered{}, queue: true,
	}
	if e.x.Class != "" {
		f.info.Class, f.info.ClassBy = e.x.Class, "claimed by its owner"
	}
	switch {
	case e.x.PID != 0:
		tree, err := cost.ProcessTree(e.x.PID)
		if err != nil {
			return fail(err)
		}
		f.meter, f.pids = tree, known(tree.PIDs)
	case e.x.Cgroup != "":
		group, err := cost.OpenGroup(e.x.Cgroup)
		if err != nil {
			return fail(err)
		}
		f.meter, f.pids, f.close = group, known(group.PIDs), group.Close
	}
	return f, nil
}

// known turns a failure to list processes into none.
func known(list func() ([]int, error)) func() []int {
	return func() []int {
		pids, err := list()
		if err != nil {
			return nil
		}
		return pids
	}
}
