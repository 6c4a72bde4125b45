package app_test

import (
	"math"
	"sync/atomic"
)

// fakeDisk is a disk whose free space a test sets.
type fakeDisk struct{ free atomic.Uint64 }

func (d *fakeDisk) set(n uint64) { d.free.Store(n) }

func (d *fakeDisk) get() (freeBytes, freeInodes uint64, err error) {
	return d.free.Load(), math.MaxUint64, nil
}
