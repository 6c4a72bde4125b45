package config

import (
	"fmt"
	"strconv"

	"postrider/internal/mail"
)

// conditions are what a route is for, with what is not asked for left empty.
func (r *Route) conditions() Route {
	domain := r.Domain
	if domain == "" {
		domain = "*"
	}
	return Route{Domain: domain, Sender: r.Sender, User: r.User, Client: r.Client}
}

// understood reports that the route at a place has conditions, all of which could be
// read: what was refused already must not be taken for one that matches everything.
func (r *Route) understood(d *decoder, at string) bool {
	return given(d, at, "domain", "sender", "user", "client") &&
		given(d, at, "domain") == (r.Domain != "") && given(d, at, "sender") == (r.Sender != "") &&
		given(d, at, "user") == (r.User != "") && given(d, at, "client") == r.Client.IsValid()
}

func checkRoutes(d *decoder, c *Config) {
	seen := map[Route]int{}
	all := -1
	for i := range c.Routes {
		r := &c.Routes[i]
		at := "route[" + strconv.Itoa(i) + "]"
		if _, table := d.at[at]; !table {
			continue
		}
		if !given(d, at, "domain", "sender", "user", "client") {
			d.r.add(d.at[at], "a route without a domain", `write domain = "*" to match all`)
		}
		if !given(d, at, "next_hop") {
			d.r.add(d.at[at], "a route without a next_hop", "want "+hopForms)
		}
		checkRouteAuth(d, at, r)
		checkFallback(d, at, r)
		if !r.understood(d, at) {
			continue
		}
		want := r.conditions()
		first, twice := seen[want]
		place := firstOf(d, at+".domain", at+".sender", at+".user", at+".client")
		switch {
		case twice && want == (Route{Domain: want.Domain}):
			d.r.add(place, fmt.Sprintf("route %d already matches %q: this one would never be used", first+1, want.Domain), "")
		case twice:
			d.r.add(place, fmt.Sprintf("route %d already has these conditions: this one would never be used", first+1), "")
		case all >= 0:
			d.r.add(place, fmt.Sprintf("route %d already matches everything: this one would never be used", all+1), "put it before that one")
		}
		if !twice {
			seen[want] = i
		}
		if want == (Route{Domain: "*"}) && all < 0 {
			all = i
		}
	}
}

// given reports that the file has one of the keys of the table at.
func given(d *decoder, at string, keys ...string) bool {
	for _, k := range keys {
		if _, ok := d.at[at+"."+k]; ok {
			return true
		}
	}
	return false
}

func checkRouteAuth(d *decoder, at string, r *Route) {
	if (r.Username == "") != (r.PasswordFile == "") {
		key := at + ".username"
		if r.Username == "" {
			key = at + ".password_file"
		}
		d.r.add(d.at[key], "username and password_file go together", "")
	}
	if r.Username != "" && r.Hop.Kind != mail.HopSMTP && r.Hop.Kind != mail.HopNone {
		d.r.add(d.at[at+".username"], "a login is for smtp:HOST:PORT only", "")
	}
	if r.TLS != "" && r.Hop.Kind != mail.HopSMTP && r.Hop.Kind != mail.HopMX && r.Hop.Kind != mail.HopNone {
		d.r.add(d.at[at+".tls"], "tls is for mx and smtp:HOST:PORT only", "")
	}
}

func checkFallback(d *decoder, at string, r *Route) {
	if r.Fallback.Kind == mail.HopNone || r.Hop.Kind == mail.HopNone {
		if r.Fallback.Kind == mail.HopNone && given(d, at, "fallback_after") && !given(d, at, "fallback") {
			d.r.add(d.at[at+".fallback_after"], "fallback_after without a fallback", "")
		}
		return
	}
	if r.Hop.Kind != mail.HopMX && r.Hop.Kind != mail.HopSMTP {
		d.r.add(d.at[at+".fallback"], "a fallback is for routes to mx and smtp:HOST:PORT only", "")
	}
	switch r.Fallback.Kind {
	case mail.HopMX, mail.HopSMTP, mail.HopLMTP, mail.HopHold:
	default:
		d.r.add(d.at[at+".fallback"], fmt.Sprintf("%s cannot be a fallback", r.Fallback), "want mx, smtp:HOST:PORT, lmtp:HOST:PORT, lmtp:unix:PATH or hold")
	}
	if r.Fallback == r.Hop {
		d.r.add(d.at[at+".fallback"], "the fallback is the next_hop itself", "")
	}
}
