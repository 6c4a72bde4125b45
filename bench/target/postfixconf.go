package target

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// postfixSettings are what its configuration depends on.
type postfixSettings struct {
	listen  string
	dir     string
	daemons string // its daemon_directory
	need    Need
	isp     bool
}

func (s postfixSettings) etc() string { return filepath.Join(s.dir, "etc") }

// certificate says whether one is offered: Debian's package does, and the profile
// for volume where the scenario uses it.
func (s postfixSettings) certificate() bool { return s.need.TLS || !s.isp }

func (s postfixSettings) files(suspended bool) []file {
	return []file{
		{filepath.Join("etc", "main.cf"), s.main(suspended)},
		{filepath.Join("etc", "master.cf"), postfixMaster(s.listen)},
	}
}

// main returns main.cf: what Debian's package asks for, at other paths; then what
// the scenario needs; then the profile.
func (s postfixSettings) main(suspended bool) string {
	var b strings.Builder
	set := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	set("compatibility_level = 3.6")
	set("queue_directory = %s", filepath.Join(s.dir, "queue"))
	set("data_directory = %s", filepath.Join(s.dir, "data"))
	set("maillog_file = %s", filepath.Join(s.dir, logName))
	set("maillog_file_prefixes = %s", s.dir)
	set("myhostname = mta.bench.test")
	set("mydestination = localhost")
	set("mynetworks = 127.0.0.0/8")
	set("inet_interfaces = 127.0.0.1")
	set("inet_protocols = ipv4")
	set("smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination")
	set("alias_maps =\nalias_database =")
	set("biff = no\nappend_dot_mydomain = no\nreadme_directory = no\nrecipient_delimiter = +")
	set("mailbox_size_limit = 0")
	set("message_size_limit = %d", s.need.MaxMessage)
	if s.certificate() {
		set("smtpd_tls_security_level = may")
		set("smtpd_tls_chain_files = %s", filepath.Join(s.dir, certificateName))
		set("smtp_tls_security_level = may")
		set("smtp_tls_CApath = /etc/ssl/certs")
		set("smtp_tls_session_cache_database = btree:${data_directory}/smtp_scache")
	}
	switch host, port, _ := strings.Cut(s.need.NextHop, ":"); {
	case s.need.HopLMTP:
		set("default_transport = lmtp:inet:[%s]:%s", host, port)
	case s.need.NextHop != "":
		set("relayhost = [%s]:%s", host, port)
	default:
		set("smtp_tcp_port = %d", s.need.MXPort)
	}
	if s.need.RetryFirst > 0 {
		first := max(time.Second, s.need.RetryFirst.Round(time.Second))
		// The longest pause keeps the proportion of the defaults, 4000 s to 300 s.
		set("minimal_backoff_time = %ds\nmaximal_backoff_time = %ds", first/time.Second, first*40/3/time.Second)
		set("queue_run_delay = %ds", max(time.Second, first/2)/time.Second)
	}
	if suspended {
		set("smtpd_data_restrictions = check_client_access static:HOLD")
	}
	if s.isp {
		b.WriteString(s.volume())
	}
	return b.String()
}

// volume returns what the profile "isp" changes: what an operator sets who has to
// move much mail over few destinations, without giving up a sync or a log line.
//
//   - as many processes as clients come, used for long;
//   - many connections to a destination from the beginning, kept and reused
//     without a limit, and not closed to it by a single failure;
//   - a queue manager that holds 100,000 messages in memory instead of 20,000;
//   - no pause at the input when the output is slower (in_flow_delay);
//   - no rates and counts by client, so that anvil is not asked, and no names of
//     clients looked up.
func (s postfixSettings) volume() string {
	var b strings.Builder
	fmt.Fprintf(&b, "default_process_limit = %d\n", max(200, s.need.Conns))
	b.WriteString(`max_use = 10000
smtp_destination_concurrency_limit = 100
lmtp_destination_concurrency_limit = 100
initial_destination_concurrency = 50
default_destination_concurrency_failed_cohort_limit = 10
smtp_connection_cache_on_demand = yes
smtp_connection_reuse_count_limit = 0
qmgr_message_active_limit = 100000
qmgr_message_recipient_limit = 100000
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_client_recipient_rate_limit = 0
smtpd_peername_lookup = no
`)
	if s.need.NextHop != "" {
		host, port, _ := strings.Cut(s.need.NextHop, ":")
		protocol := "smtp"
		if s.need.HopLMTP {
			protocol = "lmtp"
		}
		fmt.Fprintf(&b, "%s_connection_cache_destinations = [%s]:%s\n", protocol, host, port)
	}
	return b.String()
}

// postfixMaster returns master.cf: Debian's services without those that hand mail
// to other programs, and none in a chroot, since the folder of the queue is not
// one.
func postfixMaster(listen string) string {
	services := [][2]string{ // name, and type to command
		{listen, "inet n - n - - smtpd"},
		{"pickup", "unix n - n 60 1 pickup"},
		{"cleanup", "unix n - n - 0 cleanup"},
		{"qmgr", "unix n - n 300 1 qmgr"},
		{"tlsmgr", "unix - - n 1000? 1 tlsmgr"},
		{"rewrite", "unix - - n - - trivial-rewrite"},
		{"bounce", "unix - - n - 0 bounce"},
		{"defer", "unix - - n - 0 bounce"},
		{"trace", "unix - - n - 0 bounce"},
		{"verify", "unix - - n - 1 verify"},
		{"flush", "unix n - n 1000? 0 flush"},
		{"proxymap", "unix - - n - - proxymap"},
		{"proxywrite", "unix - - n - 1 proxymap"},
		{"smtp", "unix - - n - - smtp"},
		{"relay", "unix - - n - - smtp"},
		{"showq", "unix n - n - - showq"},
		{"error", "unix - - n - - error"},
		{"retry", "unix - - n - - error"},
		{"discard", "unix - - n - - discard"},
		{"local", "unix - n n - - local"},
		{"virtual", "unix - n n - - virtual"},
		{"lmtp", "unix - - n - - lmtp"},
		{"anvil", "unix - - n - 1 anvil"},
		{"scache", "unix - - n - 1 scache"},
		{"postlog", "unix-dgram n - n - 1 postlogd"},
	}
	var b strings.Builder
	for _, s := range services {
		fmt.Fprintf(&b, "%s %s\n", s[0], s[1])
	}
	return b.String()
}
