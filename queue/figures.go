package queue

import "time"

// Figures say how the store below the queue fares, for monitoring.
type Figures struct {
	StallTime       time.Duration // in which Pebble has taken no writes, since Open
	TopLevelFiles   int64         // of Pebble's level 0
	CompactionBytes uint64        // written by compactions, since Open
	WALBytes        uint64        // written to Pebble's log, since Open
	CacheHitRatio   float64       // of Pebble's block cache, 0 to 1; 1 before its first use
	DiskFreeRatio   float64       // of the disk, 0 to 1, as of now; 1 when it cannot be known
}

// Figures reads them. It costs about as much as a look-up in Pebble.
func (q *Queue) Figures() Figures {
	m := q.st.db.Metrics()
	total := m.Total()
	f := Figures{
		StallTime:       q.st.stallTime(q.o.Clock()),
		TopLevelFiles:   m.Levels[0].TablesCount,
		CompactionBytes: total.TableBytesCompacted,
		WALBytes:        m.WAL.BytesWritten,
		CacheHitRatio:   1,
		DiskFreeRatio:   1,
	}
	if n := m.BlockCache.Hits + m.BlockCache.Misses; n > 0 {
		f.CacheHitRatio = float64(m.BlockCache.Hits) / float64(n)
	}
	if u, err := q.fs.GetDiskUsage(q.o.Dir); err == nil && u.TotalBytes > 0 {
		f.DiskFreeRatio = float64(u.AvailBytes) / float64(u.TotalBytes)
	}
	return f
}

// stallBegins and stallEnds are told by Pebble, one after the other.
func (s *store) stallBegins(now time.Time) { s.stalled.Store(now.UnixNano()) }

func (s *store) stallEnds(now time.Time) {
	if since := s.stalled.Swap(0); since != 0 {
		s.stallNanos.Add(max(0, now.UnixNano()-since))
	}
}

// stallTime is the time of all stalls, the one under way included.
func (s *store) stallTime(now time.Time) time.Duration {
	sum := s.stallNanos.Load()
	if since := s.stalled.Load(); since != 0 {
		sum += max(0, now.UnixNano()-since)
	}
	return time.Duration(sum)
}
