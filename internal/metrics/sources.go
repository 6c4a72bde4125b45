package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Listener is what one listener has counted since the start.
type Listener struct {
	Name          string
	Connections   int64 // open now
	SessionsOK    int64 // got a session
	Refused       int64 // turned away before one
	Panics        int64 // ended by a defect
	Messages      int64
	Bytes         int64
	HandshakesOK  int64
	HandshakesBad int64
	AcceptErrors  int64
}

// QueueState is what waits in the queue in one state.
type QueueState struct {
	State      string
	Messages   int64
	Recipients int64
	Oldest     time.Duration // age of the oldest; 0 when there is none
}

// Queue is what the queue holds.
type Queue struct {
	States        []QueueState
	Bytes         int64 // of message texts
	MemoryBytes   int64 // of those, in memory
	DiskFreeBytes uint64
	SegmentsFree  int
	SegmentsTotal int

	// In recipients: a kill now sends at most so many a second time (guarantee G3).
	InFlight int64 // leased for an attempt
	Unsynced int64 // whose outcome is not synced

	AgeBounds []time.Duration
	Ages      []int64 // recipients below each bound and above the one before; last, those above all
}

// Store is how the store below the queue fares.
type Store struct {
	StallTime       time.Duration // since the start
	TopLevelFiles   int64
	CompactionBytes uint64
	WALBytes        uint64
	CacheHitRatio   float64
	DiskFreeRatio   float64
}

// Ledger is the account of recipients: nothing is lost while Imbalance is 0.
type Ledger struct {
	Accepted int64 // since the start, with what the queue held then
	Ended    int64
	Queued   int64
}

// Imbalance returns accepted - ended - queued.
func (l Ledger) Imbalance() int64 { return l.Accepted - l.Ended - l.Queued }

// EventLog is how the event log fares.
type EventLog struct {
	Events, Dropped uint64
	BacklogBytes    int
	Failing         bool
}

// Lane is what a lane holds at the moment. Its counters are Registry.Site's.
type Lane struct {
	Name        string // of its site
	Connections int64
	Paused      bool // left alone after failures
	Suspended   bool // by an operator
	Waits       []Wait
}

// Wait is how long a lane's mail has been held by one limit since the lane came
// to be. It only grows.
type Wait struct {
	Limit string // name of the gate, such as "rate"
	Total time.Duration
}

// Sources are asked at each scrape. A nil one is shown as zero.
type Sources struct {
	Listeners func() []Listener
	Queue     func() Queue
	Store     func() Store
	Ledger    func() Ledger
	EventLog  func() EventLog
	Lanes     func() []Lane
	// CertificateExpiry is when the certificate in use ends.
	CertificateExpiry func() time.Time
}

// Watch asks s at each scrape from now on. It is called once.
func (r *Registry) Watch(s Sources) {
	r.registry.MustRegister(&collector{s: s, sites: r.sites, waits: newWaits()})
}

// collector reads Sources into metrics.
type collector struct {
	s     Sources
	sites *TopN
	waits *waits
}

// desc describes a metric of the collector.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	descInConnections = desc("postrider_smtp_in_connections", "Inbound connections that are open.", "listener")
	descInSessions    = desc("postrider_smtp_in_sessions_total", "Inbound connections, by what became of them: ok, refused, panic.", "listener", "result")
	descInMessages    = desc("postrider_messages_accepted_total", "Messages answered 250.", "listener")
	descInBytes       = desc("postrider_bytes_accepted_total", "Bytes of message texts answered 250.", "listener")
	descInTLS         = desc("postrider_smtp_in_handshakes_total", "Inbound TLS handshakes: ok, failed.", "listener", "result")
	descAcceptErrors  = desc("postrider_smtp_in_accept_errors_total", "Times that a connection could not be accepted.", "listener")

	descQueueMessages   = desc("postrider_queue_messages", "Messages with a recipient in this state.", "state")
	descQueueRecipients = desc("postrider_queue_recipients", "Recipients in this state.", "state")
	descQueueOldest     = desc("postrider_queue_oldest_seconds", "Age of the oldest message with a recipient in this state.", "state")
	descQueueBytes      = desc("postrider_queue_bytes", "Bytes of message texts in the queue.")
	descQueueMemory     = desc("postrider_queue_memory_bytes", "Bytes of message texts kept in memory.")
	descDiskFree        = desc("postrider_store_disk_free_bytes", "Bytes free on the queue's disk.")
	descSegmentsFree    = desc("postrider_store_segments_free", "Hot segments that can be written.")
	descSegments        = desc("postrider_store_segments", "Hot segments.")

	descQueueAge   = desc("postrider_queue_age_seconds", "Recipients that wait, by the age of their message. It shrinks as they end.")
	descDuplicates = desc("postrider_duplicate_bound_recipients", "Recipients that a kill now could send to a second time: in_flight, unsynced.", "part")

	descStall      = desc("postrider_store_write_stall_seconds_total", "Time in which the rows of waiting mail took no writes.")
	descL0         = desc("postrider_store_l0_files", "Files of the rows' top level.")
	descCompaction = desc("postrider_store_compaction_bytes_total", "Bytes written by compactions of the rows.")
	descWAL        = desc("postrider_store_wal_bytes_total", "Bytes written to the rows' log.")
	descCacheHits  = desc("postrider_store_cache_hit_ratio", "Share of the rows' reads that their cache answered.")
	descDiskRatio  = desc("postrider_store_disk_free_ratio", "Share of the queue's disk that is free.")

	descImbalance = desc("postrider_ledger_imbalance", "Recipients accepted - ended - queued; must be 0.")

	descLogEvents  = desc("postrider_eventlog_events_total", "Number of the last event.")
	descLogDropped = desc("postrider_eventlog_dropped_total", "Events that could not be written.")
	descLogBacklog = desc("postrider_eventlog_backlog", "Bytes of events that wait to be written.")
	descLogFailing = desc("postrider_eventlog_failing", "1 while the event log cannot be written.")

	descOutConnections = desc("postrider_out_connections", "Outbound connections that are open.", "site")
	descSuspended      = desc("postrider_site_suspended", "1 while a site is left alone after failures.", "site", "by")
	descLimitWait      = desc("postrider_limit_wait_seconds_total", "Time in which mail for a site was held by a limit.", "site", "limit")
	descExpiry         = desc("postrider_certificate_expiry_timestamp_seconds", "When the certificate in use ends, Unix time; 0: there is none.")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descInConnections, descInSessions, descInMessages, descInBytes, descInTLS, descAcceptErrors,
		descQueueMessages, descQueueRecipients, descQueueOldest, descQueueBytes, descQueueMemory, descDiskFree, descSegmentsFree, descSegments,
		descQueueAge, descDuplicates, descStall, descL0, descCompaction, descWAL, descCacheHits, descDiskRatio,
		descImbalance, descLogEvents, descLogDropped, descLogBacklog, descLogFailing, descOutConnections, descSuspended, descLimitWait, descExpiry,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	for _, l := range ask(c.s.Listeners) {
		gauge(descInConnections, float64(l.Connections), l.Name)
		counter(descInSessions, float64(l.SessionsOK), l.Name, "ok")
		counter(descInSessions, float64(l.Refused), l.Name, "refused")
		counter(descInSessions, float64(l.Panics), l.Name, "panic")
		counter(descInMessages, float64(l.Messages), l.Name)
		counter(descInBytes, float64(l.Bytes), l.Name)
		counter(descInTLS, float64(l.HandshakesOK), l.Name, "ok")
		counter(descInTLS, float64(l.HandshakesBad), l.Name, "failed")
		counter(descAcceptErrors, float64(l.AcceptErrors), l.Name)
	}
	q := ask(c.s.Queue)
	for _, s := range q.States {
		gauge(descQueueMessages, float64(s.Messages), s.State)
		gauge(descQueueRecipients, float64(s.Recipients), s.State)
		gauge(descQueueOldest, s.Oldest.Seconds(), s.State)
	}
	gauge(descQueueBytes, float64(q.Bytes))
	gauge(descQueueMemory, float64(q.MemoryBytes))
	gauge(descDiskFree, float64(q.DiskFreeBytes))
	gauge(descSegmentsFree, float64(q.SegmentsFree))
	gauge(descSegments, float64(q.SegmentsTotal))
	gauge(descDuplicates, float64(q.InFlight), "in_flight")
	gauge(descDuplicates, float64(q.Unsynced), "unsynced")
	out <- ages(&q)
	s := ask(c.s.Store)
	counter(descStall, s.StallTime.Seconds())
	gauge(descL0, float64(s.TopLevelFiles))
	counter(descCompaction, float64(s.CompactionBytes))
	counter(descWAL, float64(s.WALBytes))
	gauge(descCacheHits, s.CacheHitRatio)
	gauge(descDiskRatio, s.DiskFreeRatio)
	gauge(descImbalance, float64(ask(c.s.Ledger).Imbalance()))
	e := ask(c.s.EventLog)
	counter(descLogEvents, float64(e.Events))
	counter(descLogDropped, float64(e.Dropped))
	gauge(descLogBacklog, float64(e.BacklogBytes))
	gauge(descLogFailing, number(e.Failing))
	c.lanes(gauge, counter)
	var expiry float64
	if t := ask(c.s.CertificateExpiry); !t.IsZero() {
		expiry = unix(t)
	}
	gauge(descExpiry, expiry)
}

func ask[T any](source func() T) (v T) {
	if source != nil {
		v = source()
	}
	return v
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
