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

// segmentBytes returns the size of hot segments for the disk that holds dir; 0,
// the queue's own default, when the disk can not be asked.
func segmentBytes(dir string) int64 {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0
	}
	return segmentFor(s.Blocks * uint64(s.Bsize))
}

func segmentFor(diskBytes uint64) int64 {
	size := int64(fullSegmentBytes)
	for size > leastSegmentBytes && uint64(size)*segmentShare > diskBytes {
		size /= 2
	}
	return size
}
