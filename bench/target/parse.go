package target

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// ErrName says that Parse was given what names no target.
var ErrName = errors.New("no such target")

// Names returns what Parse takes, for a help text.
func Names() []string {
	return []string{
		"postrider", "postrider:FILE", "postfix", "postfix:isp", "exim", "exim:isp", "opensmtpd", "opensmtpd:isp", "dovecot",
		"gosmtp", "direct", "external:smtp=HOST:PORT,pid=N",
	}
}

// Parse returns the target of that name.
func Parse(name string, o Options) (Target, error) {
	o.PeerRoot = cmp.Or(o.PeerRoot, os.Getenv("POSTBENCH_PEERS"), ".peers")
	kind, argument, hasArgument := strings.Cut(name, ":")
	base := started{name: name, o: o}
	switch kind {
	case "postrider":
		if hasArgument && argument == "" {
			return nil, fmt.Errorf("%w: %q: a file must follow the colon", ErrName, name)
		}
		base.server = postrider{extra: argument}
		return base, nil
	case "external":
		x, err := ParseExternal(argument)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		return external{name: name, x: x, anywhere: o.IOwnThisNetwork}, nil
	}
	profiles := []string{""}
	switch kind {
	case "postfix":
		base.server, profiles = postfix{isp: argument == "isp"}, []string{"", "stock", "isp"}
	case "exim":
		base.server, profiles = exim{isp: argument == "isp"}, []string{"", "stock", "isp"}
	case "opensmtpd":
		base.server, profiles = opensmtpd{isp: argument == "isp"}, []string{"", "stock", "isp"}
	case "dovecot":
		base.server = dovecot{}
	case "gosmtp":
		base.server = gosmtp{}
	case "direct":
	default:
		return nil, fmt.Errorf("%w: %q; there are %s", ErrName, name, strings.Join(Names(), " "))
	}
	if !slices.Contains(profiles, argument) || hasArgument && argument == "" {
		return nil, fmt.Errorf("%w: %q: %s has no such profile", ErrName, name, kind)
	}
	if kind == "direct" {
		return direct{}, nil
	}
	return base, nil
}
