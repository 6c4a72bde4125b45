package app

import (
	"golang.org/x/sys/unix"
)

// A hot segment is the eighth part of the hot spool, which is written before it
// is used. On a disk of 4 GiB and more the segments have their full size; on a
// smaller one the whole hot spool takes an eighth of the disk.
const (
	fullSegmentBytes  = 64 << 20
	leastSegmentBytes = 1 << 20
	segmentShare      = 64 // a segment's part of a small disk
)

// The event log takes an eighth of its disk at most, in files of which four fit
// into that: mail that waits and the log share a disk, and the log must not fill
// what the queue keeps free.
const (
	logShare     = 8
	logFiles     = 4
	leastLogFile = 1 << 20
)

// diskBytes returns the size of the disk that holds dir, 0 when it can not be
// asked.
func diskBytes(dir string) uint64 {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0
	}
	return s.Blocks * uint64(s.Bsize)
}

// segmentBytes returns the size of hot segments for the disk that holds dir; 0,
// the queue's own default, when the disk can not be asked.
func segmentBytes(dir string) int64 {
	if size := diskBytes(dir); size > 0 {
		return segmentFor(size)
	}
	return 0
}

// boundLog returns the bounds of the event log on a disk of that size (0: not
// known), given those that the configuration asks for. 0 stands for none: who asks
// for that looks after the files himself.
func boundLog(rotateBytes, totalBytes int64, diskBytes uint64) (rotate, total int64) {
	share := int64(diskBytes / logShare)
	if share == 0 || totalBytes == 0 || rotateBytes == 0 {
		return rotateBytes, totalBytes
	}
	total = min(totalBytes, share)
	return min(rotateBytes, max(total/logFiles, leastLogFile)), total
}

func segmentFor(diskBytes uint64) int64 {
	size := int64(fullSegmentBytes)
	for size > leastSegmentBytes && uint64(size)*segmentShare > diskBytes {
		size /= 2
	}
	return size
}
