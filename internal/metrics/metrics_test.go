package metrics_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/metrics"
)

func scrape(t *testing.T, r *metrics.Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// Every metric is there, at zero, before anything has happened.
func TestRegisteredAtStart(t *testing.T) {
	r := metrics.New("1.0.0", time.Unix(1_700_000_000, 0))
	r.Watch(metrics.Sources{
		Listeners: func() []metrics.Listener { return []metrics.Listener{{Name: "127.0.0.1:2525"}} },
		Queue:     func() metrics.Queue { return metrics.Queue{States: []metrics.QueueState{{State: "ready"}}} },
	})
	text := scrape(t, r)
	for _, want := range []string{
		`postrider_build_info{go="go`, "postrider_start_time_seconds 1.7e+09", "postrider_config_last_reload_ok 0",
		`postrider_smtp_in_connections{listener="127.0.0.1:2525"} 0`, `postrider_smtp_in_sessions_total{listener="127.0.0.1:2525",result="ok"} 0`,
		`postrider_messages_accepted_total{listener="127.0.0.1:2525"} 0`, `postrider_bytes_accepted_total{listener="127.0.0.1:2525"} 0`,
		"postrider_recipients_accepted_total 0", "postrider_accept_seconds_count 0", "postrider_queue_sync_seconds_count 0", "postrider_queue_sync_batch_count 0",
		`postrider_queue_messages{state="ready"} 0`, "postrider_queue_bytes 0", `postrider_queue_oldest_seconds{state="ready"} 0`,
		`postrider_recipients_final_total{result="delivered"} 0`, `postrider_recipients_final_total{result="dropped"} 0`,
		`postrider_delivery_attempts_total{result="conn_fail",site="other"} 0`, `postrider_delivery_seconds_count{phase="total"} 0`,
		`postrider_logins_total{result="ok",service="smtp"} 0`, `postrider_login_seconds_count{cache="miss"} 0`,
		"postrider_out_connection_reuse_total 0", "postrider_ledger_imbalance 0", "postrider_eventlog_dropped_total 0",
		"postrider_store_disk_free_bytes 0", "postrider_store_write_stall_seconds_total 0", "postrider_store_l0_files 0",
		"postrider_store_compaction_bytes_total 0", "postrider_store_wal_bytes_total 0", "postrider_store_cache_hit_ratio 0", "postrider_store_disk_free_ratio 0",
		"postrider_eventlog_backlog 0", "postrider_queue_age_seconds_count 0", `postrider_replies_total{class="other",site="other"} 0`,
		`postrider_out_connections{site="other"} 0`, `postrider_site_suspended{by="admin",site="other"} 0`, `postrider_site_suspended{by="auto",site="other"} 0`,
		`postrider_limit_wait_seconds_total{limit="other",site="other"} 0`, `postrider_tls_out_total{policy="may",verdict="clear"} 0`,
		`postrider_dns_seconds_count{result="ok",type="mx"} 0`, `postrider_dns_cache_total{result="hit"} 0`,
		`postrider_notices_total{kind="failure",result="queued"} 0`, `postrider_notices_total{kind="delay",result="withheld"} 0`,
		`postrider_duplicate_bound_recipients{part="in_flight"} 0`, `postrider_duplicate_bound_recipients{part="unsynced"} 0`, "postrider_certificate_expiry_timestamp_seconds 0", "go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
}

// Every metric of ours is in the reference.
func TestTheReferenceIsComplete(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	r := metrics.New("1.0.0", time.Now())
	r.Watch(metrics.Sources{})
	families, err := r.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "postrider_") && !strings.Contains(string(page), "`"+f.GetName()+"`") {
			t.Errorf("%s is not in operations.md", f.GetName())
		}
	}
}

func TestWhatIsCountedIsShown(t *testing.T) {
	r := metrics.New("1.0.0", time.Now())
	lanes := []metrics.Lane{{Name: "a", Connections: 2}}
	r.Watch(metrics.Sources{
		Ledger: func() metrics.Ledger { return metrics.Ledger{Accepted: 10, Ended: 7, Queued: 2} },
		Lanes:  func() []metrics.Lane { return lanes },
		Queue: func() metrics.Queue {
			return metrics.Queue{InFlight: 7, Unsynced: 3, AgeBounds: []time.Duration{time.Minute, time.Hour}, Ages: []int64{4, 2, 1}}
		},
		Store: func() metrics.Store {
			return metrics.Store{StallTime: 1500 * time.Millisecond, TopLevelFiles: 2, DiskFreeRatio: 0.25}
		},
	})
	r.Site("a").Reply("mailbox_full")
	r.AcceptSeconds(3 * time.Millisecond)
	r.AcceptedRecipients(4)
	r.QueueSync(17, time.Millisecond)
	r.MailboxSync(11, time.Millisecond)
	r.Final(metrics.FinalDelivered, 3)
	r.Phase(metrics.PhaseConnect, 20*time.Millisecond)
	r.Phase(metrics.PhaseTLS, 0)
	r.Rejected("l", "rcpt", 550, "relay")
	r.Site("a").Attempts(metrics.ResultTemp, 5)
	r.Reloaded(time.Unix(1_800_000_000, 0), true)
	for i := range metrics.MaxSites + 50 { // more sites than there are labels
		name := fmt.Sprint("site-", i)
		r.Site(name).Attempts(metrics.ResultOK, 1)
		lanes = append(lanes, metrics.Lane{Name: name, Connections: 1, Paused: true})
	}
	text := scrape(t, r)
	for _, want := range []string{
		"postrider_accept_seconds_count 1", "postrider_recipients_accepted_total 4", "postrider_queue_sync_batch_sum 17", "postrider_mailbox_sync_batch_sum 11", "postrider_mailbox_sync_seconds_count 1",
		`postrider_recipients_final_total{result="delivered"} 3`, `postrider_delivery_seconds_count{phase="connect"} 1`, `postrider_delivery_seconds_count{phase="tls"} 0`,
		`postrider_smtp_in_rejected_total{cmd="rcpt",code_class="5xx",listener="l",rule="relay"} 1`,
		`postrider_delivery_attempts_total{result="temp",site="a"} 5`, `postrider_delivery_attempts_total{result="ok",site="other"} 51`,
		`postrider_out_connections{site="a"} 2`, `postrider_out_connections{site="other"} 51`, `postrider_site_suspended{by="auto",site="other"} 1`,
		`postrider_replies_total{class="mailbox_full",site="a"} 1`,
		`postrider_duplicate_bound_recipients{part="in_flight"} 7`, `postrider_duplicate_bound_recipients{part="unsynced"} 3`,
		`postrider_queue_age_seconds_bucket{le="60"} 4`, `postrider_queue_age_seconds_bucket{le="3600"} 6`, "postrider_queue_age_seconds_count 7",
		"postrider_store_write_stall_seconds_total 1.5", "postrider_store_l0_files 2", "postrider_store_disk_free_ratio 0.25",
		"postrider_ledger_imbalance 1", "postrider_config_last_reload_ok 1", "postrider_config_loaded_timestamp_seconds 1.8e+09",
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	r.Reloaded(time.Now(), false)
	if !strings.Contains(scrape(t, r), "postrider_config_last_reload_ok 0\n") {
		t.Error("a refused reload is not shown")
	}
}

// What the way out counts, and how long the limits of a site held its mail: that
// only grows, although lanes end and begin anew and many share a label.
func TestWhatTheWayOutCounts(t *testing.T) {
	r := metrics.New("1.0.0", time.Now())
	var lanes []metrics.Lane
	r.Watch(metrics.Sources{Lanes: func() []metrics.Lane { return lanes }})
	r.TLSOut("verify", "verified")
	r.DNS("mx", "ok", 30*time.Millisecond, false)
	r.DNS("mx", "ok", 0, true)
	r.Notice("failure", false)
	r.Notice("failure", true)
	held := func(name string, d time.Duration) metrics.Lane {
		return metrics.Lane{Name: name, Suspended: true, Waits: []metrics.Wait{{Limit: "rate", Total: d}}}
	}
	for _, step := range []struct {
		lanes []metrics.Lane
		want  string
	}{
		{[]metrics.Lane{held("a", 2*time.Second)}, "2"},
		{[]metrics.Lane{held("a", 5*time.Second)}, "5"},
		{nil, "5"},
		{[]metrics.Lane{held("a", time.Second)}, "6"},                         // the lane is another one
		{[]metrics.Lane{held("a", time.Second), held("a", time.Second)}, "7"}, // from two sources
	} {
		lanes = step.lanes
		if text := scrape(t, r); !strings.Contains(text, `postrider_limit_wait_seconds_total{limit="rate",site="a"} `+step.want+"\n") {
			t.Errorf("%v: not %s", step.lanes, step.want)
		}
	}
	text := scrape(t, r)
	for _, want := range []string{
		`postrider_tls_out_total{policy="verify",verdict="verified"} 1`, `postrider_dns_seconds_count{result="ok",type="mx"} 1`,
		`postrider_dns_cache_total{result="hit"} 1`, `postrider_dns_cache_total{result="miss"} 1`,
		`postrider_notices_total{kind="failure",result="queued"} 1`, `postrider_notices_total{kind="failure",result="withheld"} 1`,
		`postrider_site_suspended{by="admin",site="a"} 1`, `postrider_site_suspended{by="auto",site="a"} 0`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}

// The rate of a site is that of the last seconds, of deliveries alone.
func TestPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := metrics.New("1.0.0", time.Now()).Site("a")
		for range 30 {
			s.Attempts(metrics.ResultOK, 3)
			s.Attempts(metrics.ResultTemp, 5)
			time.Sleep(time.Second)
		}
		if got := s.PerSecond(); got != 3 {
			t.Errorf("%v a second", got)
		}
		time.Sleep(5 * time.Second)
		if got := s.PerSecond(); got != 1.5 {
			t.Errorf("%v a second half of the time after the end", got)
		}
		time.Sleep(time.Minute)
		if got := s.PerSecond(); got != 0 {
			t.Errorf("%v a second long after", got)
		}
	})
}

func TestTopNKeepsTheFirst(t *testing.T) {
	top := metrics.NewTopN(2)
	for _, c := range [][2]string{{"a", "a"}, {"b", "b"}, {"c", metrics.Other}, {"a", "a"}, {"c", metrics.Other}} {
		if got := top.Label(c[0]); got != c[1] {
			t.Errorf("%s: %s", c[0], got)
		}
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	r := metrics.New("1.0.0", time.Now())
	site := r.Site("mx")
	if n := testing.AllocsPerRun(100, func() {
		r.AcceptSeconds(time.Millisecond)
		r.AcceptedRecipients(1)
		r.QueueSync(8, time.Millisecond)
		r.MailboxSync(8, time.Millisecond)
		r.Final(metrics.FinalDelivered, 1)
		r.Phase(metrics.PhaseTotal, time.Millisecond)
		r.Reused()
		site.Attempts(metrics.ResultOK, 1)
		r.TLSOut("may", "untrusted")
		r.DNS("mx", "ok", time.Millisecond, true)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
