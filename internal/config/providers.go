package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

const providersShipped = "providers.toml"

// Provider is a group of receivers that are one to whoever sends to them: caps
// hold for all their sites together, and reply rules can name them. A cap of 0 is
// no limit.
type Provider struct {
	Name  string
	Hosts []string // names of mail exchangers: "mx.example.com", or ".example.com" for all below it
	// OneSite says that each host takes the mail of all its domains, although the
	// hosts are named after the domains.
	OneSite    bool
	MixDomains bool // recipients of several domains may share a transaction

	Connections              int
	ConnectsPerSecond        float64
	MessagesPerSecond        float64
	MessagesPerConnection    int
	RecipientsPerTransaction int
}

// LoadProviders reads a file of provider groups and returns them before those
// that are built in, unless the file says shipped = false. A group whose name is
// built in takes that one's place. With path "" it returns the built-in ones. The
// error is an Errors.
func LoadProviders(path string) ([]Provider, error) {
	if path == "" {
		return ParseProviders(providersShipped, []byte("shipped = true\n"))
	}
	text, err := readListFile(path)
	if err != nil {
		return nil, err
	}
	return ParseProviders(path, text)
}

// ShippedProviders returns the text of the built-in file of provider groups.
func ShippedProviders() string { return shippedText(providersShipped) }

// ParseProviders is LoadProviders for a text that was read from the file of that
// name.
func ParseProviders(name string, text []byte) ([]Provider, error) {
	own, err := parseProviders(name, text)
	if err != nil || !own.shipped {
		return own.items, err
	}
	shipped, err := parseProviders(providersShipped, []byte(ShippedProviders()))
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for i := range own.items {
		names[own.items[i].Name] = true
	}
	all := own.items
	for _, p := range shipped.items {
		if !names[p.Name] {
			all = append(all, p)
		}
	}
	return all, nil
}

func parseProviders(name string, text []byte) (*listFile[Provider], error) {
	l := &listFile[Provider]{table: "provider", fields: providerFields()}
	l.decode(name, text)
	names, hosts := map[string]bool{}, map[string]string{}
	for i := range l.items {
		p := &l.items[i]
		switch {
		case p.Name == "":
			l.d.r.add(l.place(i, "name"), "a provider without a name", `write name = "example"`)
		case names[p.Name]:
			l.d.r.add(l.place(i, "name"), "another provider has the name "+p.Name, "")
		}
		names[p.Name] = true
		if len(p.Hosts) == 0 && !l.given(i, "hosts") {
			l.d.r.add(l.places[i], "a provider without hosts", `write hosts = [".mx.example.com"]`)
		}
		for j, h := range p.Hosts {
			if other, twice := hosts[h]; twice {
				l.d.r.add(l.place(i, "hosts["+strconv.Itoa(j)+"]"), fmt.Sprintf("%s is already a host of %s", h, other), "")
			}
			hosts[h] = p.Name
		}
	}
	if err := l.errors(); err != nil {
		return &listFile[Provider]{}, err
	}
	return l, nil
}

func providerFields() []field[Provider] {
	return []field[Provider]{
		{name: "name", set: text(func(p *Provider) *string { return &p.Name }, parseRuleName)},
		{name: "hosts", set: list(func(p *Provider) *[]string { return &p.Hosts }, parseHostPattern)},
		{name: "one_site", set: boolean(func(p *Provider) *bool { return &p.OneSite })},
		{name: "mix_domains", set: boolean(func(p *Provider) *bool { return &p.MixDomains })},
		{name: "connections", set: number(func(p *Provider) *int { return &p.Connections }, 0, 100_000)},
		{name: "connects_per_second", set: perSecond(func(p *Provider) *float64 { return &p.ConnectsPerSecond })},
		{name: "messages_per_second", set: perSecond(func(p *Provider) *float64 { return &p.MessagesPerSecond })},
		{name: "messages_per_connection", set: number(func(p *Provider) *int { return &p.MessagesPerConnection }, 0, 1_000_000)},
		{name: "recipients_per_transaction", set: number(func(p *Provider) *int { return &p.RecipientsPerTransaction }, 0, 100_000)},
	}
}

// parseHostPattern reads a host name or, with a dot before it, a suffix.
func parseHostPattern(s string) (string, error) {
	low := strings.ToLower(s)
	name := strings.TrimPrefix(low, ".")
	if err := checkDomain(name); err != nil {
		return "", fmt.Errorf("%q is not a host or \".suffix\"", s)
	}
	if low != name && !strings.Contains(name, ".") {
		return "", fmt.Errorf("%q stands for a whole top level domain", s)
	}
	return low, nil
}

// perSecond is a number each second, with or without decimals.
func perSecond[T any](of func(*T) *float64) func(*decoder, *T, *node) {
	const most = 1_000_000
	return func(d *decoder, t *T, n *node) {
		if n.kind != unstable.Integer && !d.want(n, unstable.Float, "a number each second, such as 2 or 0.5") {
			return
		}
		v, err := strconv.ParseFloat(strings.ReplaceAll(n.text, "_", ""), 64)
		if err != nil || !(v >= 0 && v <= most) {
			d.r.add(n.place(), n.text+" is out of range", allowedRange(0, most))
			return
		}
		*of(t) = v
	}
}
