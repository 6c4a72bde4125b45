// Package result holds what a measurement found, as it is kept on disk: plain data
// with a schema version, and nothing that measures or draws.
//
// A File has the runs of one invocation in the order in which they were made. The
// schema is additive: a reader takes a file of its own version or older, ignores
// what it does not know, and refuses a newer version. Durations are microseconds,
// moments are Unix microseconds or, in Intervals, seconds since the run began.
package result

import "time"

// Schema is the version that this package writes.
const Schema = 1

// File is what `postbench run` and `postbench compare` write.
type File struct {
	Schema  int     `json:"schema"`
	Tool    Tool    `json:"tool"`
	Machine Machine `json:"machine"`
	Runs    []Run   `json:"runs"`
}

// Tool says which postbench made a file.
type Tool struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	Binary  string `json:"binary_sha256,omitempty"`
}

// Machine is where it ran, as far as one can see.
type Machine struct {
	OS          string `json:"os"`
	Kernel      string `json:"kernel"`
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	MemoryBytes int64  `json:"memory_bytes"`
	FileSystem  string `json:"file_system"`       // of the scratch folder
	Disk        string `json:"disk,omitempty"`    // below it: "write back" or "write through", "rotational"
	Virtual     string `json:"virtual,omitempty"` // "hypervisor" when the CPU says so
}

// Run is one run of one scenario against one server.
type Run struct {
	Scenario string    `json:"scenario"`
	Settings string    `json:"settings"` // the scenario as TOML, flags applied
	Target   Target    `json:"target"`
	Started  time.Time `json:"started"`
	Index    int       `json:"index"` // of the runs of this pair of scenario and target
	Seed     uint64    `json:"seed"`

	Seconds      float64 `json:"seconds"`       // of load, warm-up excluded
	DrainSeconds float64 `json:"drain_seconds"` // from the end of the load until nothing is owed

	Load      Load           `json:"load"`
	Ledger    Ledger         `json:"ledger"`
	Cost      Cost           `json:"cost"`
	Calibrate *Calibration   `json:"calibration,omitempty"`
	Intervals []Interval     `json:"intervals,omitempty"`
	Domains   []Domain       `json:"domains,omitempty"`
	Access    []AccessResult `json:"access,omitempty"` // of POP3 and IMAP workloads
	Values    []Value        `json:"values,omitempty"` // figures of this scenario alone
	Stamps    []string       `json:"stamps,omitempty"` // why the figures deserve doubt
	Failed    []string       `json:"failed,omitempty"` // what the scenario demands and did not get
}

// Target is the server under test.
type Target struct {
	Name    string `json:"name"` // as on the command line: postfix:isp
	Version string `json:"version,omitempty"`
	Config  string `json:"config,omitempty"` // as generated
	Binary  string `json:"binary_sha256,omitempty"`
	// Class is what an accepted message has gone through when the 250 is sent:
	// D0 memory, D1 page cache, D2 a sync for each message, D3 a sync shared by
	// many, D4 replicated; "" when nobody checked.
	Class string `json:"class,omitempty"`
	// ClassBy says how the class was verified.
	ClassBy string `json:"class_by,omitempty"`
}

// Load is what the generator saw.
type Load struct {
	Model string  `json:"model"`          // closed, constant, poisson, burst, ramp, replay
	Rate  float64 `json:"rate,omitempty"` // intended messages a second; 0: closed

	Messages    int64 `json:"messages"` // accepted
	Bytes       int64 `json:"bytes"`    // of their texts
	Missed      int64 `json:"missed"`   // due, but no connection was free to begin them in time
	Connections int64 `json:"connections"`
	Failures    int64 `json:"failures"` // connections that failed

	AcceptRate    float64 `json:"accept_per_s"`    // messages
	DeliveredRate float64 `json:"delivered_per_s"` // duties, until nothing was owed

	Response Latency `json:"response"`   // intended moment to 250
	Service  Latency `json:"service"`    // actual beginning to 250
	EndToEnd Latency `json:"end_to_end"` // intended moment to the end of delivery at the sink

	OwnCPUMicros float64 `json:"own_cpu_us_per_message"` // generator, sink and ledger together
	// Whole is the harness's share of Calibration's ceiling at this rate, 0 to 1.
	OfCeiling float64 `json:"of_ceiling,omitempty"`
}

// Latency summarises a histogram, in microseconds.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   int64   `json:"p50"`
	P90   int64   `json:"p90"`
	P95   int64   `json:"p95"`
	P99   int64   `json:"p99"`
	P999  int64   `json:"p999"`
	Max   int64   `json:"max"`
	// Curve has the value at each of Percentiles, for a plot.
	Curve []int64 `json:"curve,omitempty"`
	// HDR is the histogram in the V2 compressed encoding, in base64.
	HDR string `json:"hdr,omitempty"`
}

// Percentiles returns those at which Latency.Curve has values.
func Percentiles() []float64 {
	return []float64{0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 99.999, 100}
}

// Ledger is the account of all duties: a duty is one recipient of one message.
//
//	Accepted = Once + Duplicated + Bounced + Queued + Lost
type Ledger struct {
	Duties   int64 `json:"duties"` // handed out
	Accepted int64 `json:"accepted"`
	Refused  int64 `json:"refused"`
	Unknown  int64 `json:"unknown"` // the connection failed after the end of the text
	Unsent   int64 `json:"unsent"`

	Once       int64 `json:"delivered_once"`
	Duplicated int64 `json:"duplicated"` // delivered more than once
	Copies     int64 `json:"copies"`     // deliveries beyond the first
	Bounced    int64 `json:"bounced"`
	Queued     int64 `json:"queued"` // as the server says
	Lost       int64 `json:"lost"`

	UnknownDelivered int64 `json:"unknown_delivered"`
	Phantom          int64 `json:"phantom"` // refused or unsent, and delivered all the same
	Strange          int64 `json:"strange"` // recipients that name no duty
	Corrupted        int64 `json:"corrupted"`
	OutOfOrder       int64 `json:"out_of_order"` // overtaken by a later message of the same connection
	AfterBounce      int64 `json:"delivered_after_bounce"`
	FalseBounces     int64 `json:"bounced_after_delivery"`
	DelayNotices     int64 `json:"delay_notices"`
}

// Cost is what the server under test used.
type Cost struct {
	By        string `json:"by,omitempty"`         // "cgroup v1", "cgroup v2" or "process tree"; "" when not measured
	WrittenBy string `json:"written_by,omitempty"` // "cgroup", "device" (of everybody on it) or "processes"

	UserSeconds     float64 `json:"user_s"`
	SystemSeconds   float64 `json:"sys_s"`
	RSSPeakBytes    int64   `json:"rss_peak_bytes"` // the most that was seen: anonymous and shared memory
	WrittenBytes    int64   `json:"written_bytes"`  // see WrittenBy
	ContextSwitches int64   `json:"context_switches,omitempty"`
	OpenFiles       int64   `json:"open_files,omitempty"`

	MessagesPerCPUSecond float64 `json:"messages_per_cpu_s"`
	CPUSecondsPer1000    float64 `json:"cpu_s_per_1000"`
	WrittenPerByte       float64 `json:"written_per_message_byte"`

	Syncs           int64   `json:"syncs,omitempty"`    // of the audit run
	SyncsBy         string  `json:"syncs_by,omitempty"` // "strace", "metrics"; "": not counted
	SyncsPerMessage float64 `json:"syncs_per_message"`  // of the audit run
	AuditMessages   int64   `json:"audit_messages,omitempty"`
	DiskPerQueued   float64 `json:"disk_bytes_per_queued,omitempty"` // a message that waits
	RSSPerQueued    float64 `json:"rss_bytes_per_queued,omitempty"`
}

// Calibration is what harness and machine could do around a run.
type Calibration struct {
	CeilingRate   float64    `json:"ceiling_per_s"`            // messages, generator to sink without a server
	SyncMicros    [2]int64   `json:"sync_p50_us"`              // before and after, a 4 KiB overwrite and fdatasync
	SpinMillis    [2]float64 `json:"spin_ms"`                  // before and after, a fixed piece of work
	DriftPercent  float64    `json:"drift_percent"`            // of the larger of the two
	OthersPercent float64    `json:"others_percent,omitempty"` // of the machine, used by neither harness nor server
}

// Interval is one second of a run.
type Interval struct {
	At        float64 `json:"at"`    // its end, in seconds since the run began
	Phase     string  `json:"phase"` // warmup, load, drain, or a step of the scenario
	Sent      int64   `json:"sent"`
	Accepted  int64   `json:"accepted"`
	Delivered int64   `json:"delivered"`
	Missed    int64   `json:"missed,omitempty"`
	Queued    int64   `json:"queued"` // accepted and not yet ended
	CPU       float64 `json:"cpu"`    // cores used by the server
	RSSBytes  int64   `json:"rss_bytes"`
	Response  Latency `json:"response"`
	EndToEnd  Latency `json:"end_to_end"`
	// Heat has how many responses fell below each of HeatBounds and above the one
	// before, and last those above all.
	Heat []int64 `json:"heat,omitempty"`
}

// HeatBounds returns the upper bounds of Interval.Heat, in microseconds.
func HeatBounds() []int64 {
	return []int64{100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
		1_000_000, 2_000_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000}
}

// Domain is what a receiving domain saw. A file keeps the busiest, and sums the
// others up under the name "others".
type Domain struct {
	Name        string  `json:"name"`
	Policy      string  `json:"policy,omitempty"`
	Delivered   int64   `json:"delivered"`
	Deferred    int64   `json:"deferred"` // replies of 4xx
	Refused     int64   `json:"refused"`  // replies of 5xx
	Dropped     int64   `json:"dropped"`  // connections cut by the policy
	Connections int64   `json:"connections"`
	PeakOpen    int64   `json:"peak_open"`
	Violations  int64   `json:"violations"`           // of the limits that its policy states
	OfAllowed   float64 `json:"of_allowed,omitempty"` // share of the allowed rate that was used
	Queries     int64   `json:"dns_queries,omitempty"`
	EndToEnd    Latency `json:"end_to_end"`
}

// AccessResult is what a POP3 or IMAP workload saw, for one kind of operation.
type AccessResult struct {
	Protocol   string  `json:"protocol"`
	Workload   string  `json:"workload"`
	Operation  string  `json:"operation"` // SELECT, FETCH ENVELOPE, RETR, EXISTS after delivery, ...
	Count      int64   `json:"count"`
	Errors     int64   `json:"errors"`
	Items      int64   `json:"items"` // messages that the operations brought
	Bytes      int64   `json:"bytes"`
	PerSecond  float64 `json:"per_s"` // items
	Latency    Latency `json:"latency"`
	Violations int64   `json:"violations"` // answers that contradict the model of the mailbox
	// Described tells the first violations in words.
	Described []string `json:"described,omitempty"`
	// Missed counts sessions for which no connection was free when they were due.
	Missed int64 `json:"missed,omitempty"`
}

// Value is a figure of its own.
type Value struct {
	Name string  `json:"name"`
	Unit string  `json:"unit"`
	Got  float64 `json:"got"`
	Note string  `json:"note,omitempty"`
}
