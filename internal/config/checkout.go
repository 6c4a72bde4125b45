package config

import (
	"fmt"
	"strconv"

	"postrider/internal/mail"
)

// checkOutbound reports what does not fit together in how mail leaves.
func checkOutbound(d *decoder, c *Config) {
	pools := checkSources(d, c)
	checkRoutes(d, c)
	for i, r := range c.Routes {
		at := "route[" + strconv.Itoa(i) + "]"
		if _, given := d.at[at+".pool"]; given && r.Pool != "" && !pools[r.Pool] {
			d.r.add(d.at[at+".pool"], fmt.Sprintf("no [[source]] has the pool or the name %q", r.Pool), "")
		}
	}
	if c.Bounce.Pool != "" && !pools[c.Bounce.Pool] {
		d.r.add(d.at["bounce.pool"], fmt.Sprintf("no [[source]] has the pool or the name %q", c.Bounce.Pool), "")
	}
	checkPolicies(d, c)
	checkCaps(d, c)
	if _, told := d.at["outbound.total_connections"]; told && c.Outbound.Connections > c.Outbound.TotalConnections {
		d.r.add(d.at["outbound.total_connections"], "connections to one destination are more than total_connections", "")
	}
	if (c.SRS.Domain == "") != (c.SRS.SecretFile == "") {
		d.r.add(firstOf(d, "srs.domain", "srs.secret_file"), "domain and secret_file go together", "")
	}
}

// checkSources returns the names that a route's pool may be.
func checkSources(d *decoder, c *Config) map[string]bool {
	names, pools := map[string]int{}, map[string]bool{DefaultPool: true}
	for _, s := range c.Sources {
		pools[s.Pool] = true
	}
	for i, s := range c.Sources {
		at := "source[" + strconv.Itoa(i) + "]"
		if _, table := d.at[at]; !table {
			continue
		}
		if _, given := d.at[at+".name"]; !given {
			d.r.add(d.at[at], "a source without a name", `write name = "a"`)
			continue
		}
		if first, twice := names[s.Name]; twice && s.Name != "" {
			d.r.add(d.at[at+".name"], fmt.Sprintf("source %d is already called %q", first+1, s.Name), "")
			continue
		}
		if pools[s.Name] && s.Name != s.Pool && s.Name != "" {
			d.r.add(d.at[at+".name"], fmt.Sprintf("%q is the name of a pool that this source is not in", s.Name), "call one of them otherwise")
		}
		names[s.Name] = i
	}
	for name := range names {
		pools[name] = true
	}
	return pools
}

func checkPolicies(d *decoder, c *Config) {
	seen := map[string]int{}
	for i, p := range c.Policies {
		at := "tls_policy[" + strconv.Itoa(i) + "]"
		if _, table := d.at[at]; !table {
			continue
		}
		_, domain := d.at[at+".domain"]
		_, level := d.at[at+".level"]
		if !domain || !level {
			d.r.add(d.at[at], "a policy needs a domain and a level", "")
			continue
		}
		if first, twice := seen[p.Domain]; twice && p.Domain != "" {
			d.r.add(d.at[at+".domain"], fmt.Sprintf("policy %d is already for %q", first+1, p.Domain), "")
		} else {
			seen[p.Domain] = i
		}
		if len(p.Names) > 0 && p.Level != mail.TLSVerify {
			d.r.add(d.at[at+".names"], "names are for the level verify only", "")
		}
		_, prints := d.at[at+".fingerprints"]
		if (p.Level == mail.TLSFingerprint) != prints {
			d.r.add(firstOf(d, at+".fingerprints", at+".level"), "fingerprints and the level fingerprint go together", "")
		} else if prints && len(p.Fingerprints) == 0 && len(d.r.errs) == 0 {
			d.r.add(d.at[at+".fingerprints"], "no certificate has none of all fingerprints: name one", "")
		}
	}
}

func checkCaps(d *decoder, c *Config) {
	names := map[string]bool{}
	for _, s := range c.Sources {
		names[s.Name] = true
	}
	seen := map[Cap]int{}
	for i, l := range c.Caps {
		at := "limit[" + strconv.Itoa(i) + "]"
		if _, table := d.at[at]; !table {
			continue
		}
		subjects := 0
		for _, key := range []string{".site", ".provider", ".source"} {
			if _, given := d.at[at+key]; given {
				subjects++
			}
		}
		if subjects != 1 {
			d.r.add(d.at[at], "a limit is for one of site, provider and source", "")
			continue
		}
		subject := Cap{Site: l.Site, Provider: l.Provider, Source: l.Source}
		if first, twice := seen[subject]; twice && subject != (Cap{}) {
			d.r.add(d.at[at], fmt.Sprintf("limit %d is for the same already", first+1), "")
		} else {
			seen[subject] = i
		}
		if l.Source != "" && !names[l.Source] {
			d.r.add(d.at[at+".source"], fmt.Sprintf("no [[source]] has the name %q", l.Source), "")
		}
	}
}
