package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"postrider/bench/result"
)

// like is a server that the fixtures simulate.
type like struct {
	name, version, class string
	rate                 float64 // messages a second
	perCPU               float64
	micros, spread       float64 // median and sigma of the acceptance
	syncs                float64
	rss                  float64
}

func postriderLike() like {
	return like{"postrider", "0.9.0", "D3", 14300, 9100, 3800, 0.45, 0.08, 96 << 20}
}

func postfixLike() like {
	return like{"postfix:isp", "3.7.11", "D2", 5200, 1850, 17000, 0.7, 2.1, 240 << 20}
}

// fixture simulates n interleaved runs against each server.
func fixture(n int, servers ...like) *result.File {
	rng := rand.New(rand.NewPCG(11, 12))
	f := &result.File{
		Schema: result.Schema, Tool: result.Tool{Version: "0.9.0", Go: "go1.26.0"},
		Machine: result.Machine{OS: "linux", Kernel: "6.1.0", CPU: "Example 9000 at 2.4 GHz", Cores: 4, MemoryBytes: 8 << 30, FileSystem: "ext4", Virtual: "hypervisor"},
	}
	start := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	for i := range n {
		for _, s := range servers {
			r := s.run(rng, i)
			r.Started = start
			start = start.Add(50 * time.Second)
			f.Runs = append(f.Runs, r)
		}
	}
	return f
}

func (s like) run(rng *rand.Rand, index int) result.Run {
	noise := func(sigma float64) float64 { return math.Exp(rng.NormFloat64() * sigma) }
	rate := s.rate * noise(0.015)
	messages := int64(rate * 30)
	r := result.Run{
		Scenario: "steady", Settings: "# what a relay does all day\nconns = 64\nduration = \"30s\"\nsize = \"lognormal:median=12k,p99=2M\"\n",
		Index: index, Seed: uint64(index) + 1, Seconds: 30, DrainSeconds: 2.4,
		Target: result.Target{Name: s.name, Version: s.version, Class: s.class, ClassBy: "syncs counted by strace", Config: "hostname = bench.test\nqueue = /scratch\n"},
		Load: result.Load{
			Model: "closed", Messages: messages, Bytes: messages * 12_000, Connections: 64, AcceptRate: rate, DeliveredRate: rate * 0.98,
			Response: latency(messages, s.micros*noise(0.03), s.spread), Service: latency(messages, s.micros*noise(0.03), s.spread),
			EndToEnd: latency(messages, 3*s.micros*noise(0.05), s.spread*1.2), OwnCPUMicros: 71 * noise(0.02), OfCeiling: rate / 31000,
		},
		Ledger: result.Ledger{Duties: messages + 40, Accepted: messages, Unsent: 40, Once: messages - 3, Bounced: 3},
		Cost: result.Cost{
			By: "cgroup", UserSeconds: rate * 30 / s.perCPU * 0.7, SystemSeconds: rate * 30 / s.perCPU * 0.3, RSSPeakBytes: int64(s.rss * noise(0.02)),
			WrittenBytes: messages * 26_000, MessagesPerCPUSecond: s.perCPU * noise(0.012), CPUSecondsPer1000: 1000 / s.perCPU, WrittenPerByte: 2.2 * noise(0.01),
			SyncsBy: "strace", SyncsPerMessage: s.syncs * noise(0.01), Syncs: int64(s.syncs * 5000), AuditMessages: 5000,
		},
		Calibrate: &result.Calibration{CeilingRate: 31000 * noise(0.01), SyncMicros: [2]int64{870, 910}, SpinMillis: [2]float64{101, 103}, DriftPercent: 2 + 3*rng.Float64()},
		Domains:   s.domains(rng, messages),
	}
	for at := 1; at <= 38; at++ {
		r.Intervals = append(r.Intervals, s.interval(rng, at, rate))
	}
	if index == 2 {
		r.Stamps = []string{"noisy machine: drift of 14 %", "noisy machine: sync"}
	}
	return r
}

func (s like) interval(rng *rand.Rand, at int, rate float64) result.Interval {
	iv := result.Interval{At: float64(at) + 0.01*rng.Float64(), Phase: "load", CPU: rate / s.perCPU * (1 + 0.05*rng.NormFloat64())}
	iv.RSSBytes = int64(s.rss * (0.6 + 0.4*min(1, float64(at)/20) + 0.01*rng.NormFloat64()))
	if at <= 5 {
		iv.Phase, rate = "warmup", rate*float64(at)/5
	}
	n := int64(rate * (1 + 0.03*rng.NormFloat64()))
	if at > 35 {
		iv.Phase, n, iv.CPU = "drain", 0, iv.CPU/2
	}
	iv.Sent, iv.Accepted, iv.Delivered = n+60, n, int64(float64(n)*0.98)
	iv.Queued = int64(rate * 0.02 * float64(min(at, 35)) * (1 + 0.1*rng.Float64()))
	if at > 35 {
		iv.Sent, iv.Delivered, iv.Queued = 0, iv.Queued/2, iv.Queued*int64(38-at)/3
		return iv
	}
	median := s.micros
	if at == 22 {
		median *= 4 // a stall
	}
	iv.Response, iv.EndToEnd = latency(n, median, s.spread), latency(n, 3*median, s.spread)
	bounds := result.HeatBounds()
	iv.Heat = make([]int64, len(bounds)+1)
	for range 2000 {
		us, cell := median*math.Exp(rng.NormFloat64()*s.spread), 0
		for cell < len(bounds) && us >= float64(bounds[cell]) {
			cell++
		}
		iv.Heat[cell] += 1 + n/2000
	}
	return iv
}

func latency(n int64, median, spread float64) result.Latency {
	at := func(percentile float64) int64 {
		p := min(max(percentile/100, 1e-4), 1-0.5/float64(n+1))
		z := math.Sqrt2 * math.Erfinv(2*p-1)
		return int64(median * math.Exp(z*spread))
	}
	l := result.Latency{Count: n, Mean: median * 1.1, P50: at(50), P90: at(90), P95: at(95), P99: at(99), P999: at(99.9), Max: at(100)}
	for _, p := range result.Percentiles() {
		l.Curve = append(l.Curve, at(p))
	}
	return l
}

func (s like) domains(rng *rand.Rand, messages int64) (list []result.Domain) {
	for i := range 8 {
		n := messages / int64(i+2) / 3
		d := result.Domain{Name: fmt.Sprintf("d%d.bench.test", i), Delivered: n, Connections: 8 + int64(i), PeakOpen: 8, Queries: 2, EndToEnd: latency(n, 3*s.micros, s.spread)}
		if i == 3 {
			d.Policy, d.Deferred, d.Dropped, d.OfAllowed = "greylist 60s, 5% 451", n/20, rng.Int64N(9), 0.94
		}
		list = append(list, d)
	}
	return append(list, result.Domain{Name: "others", Delivered: messages / 4, Connections: 900, EndToEnd: latency(messages/4, 3*s.micros, s.spread)})
}
