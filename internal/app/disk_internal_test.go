package app

import "testing"

// A small disk gets small segments, so that the hot spool leaves room for mail.
// Covers Q16.
func TestSegmentsFitTheDisk(t *testing.T) {
	for _, tt := range []struct {
		disk uint64
		want int64
	}{
		{0, 1 << 20}, {48 << 20, 1 << 20}, {127 << 20, 1 << 20}, {128 << 20, 2 << 20},
		{4<<30 - 1, 32 << 20}, {4 << 30, 64 << 20}, {1 << 50, 64 << 20},
	} {
		if got := segmentFor(tt.disk); got != tt.want {
			t.Errorf("disk of %d bytes: segments of %d, want %d", tt.disk, got, tt.want)
		}
	}
}

// The event log leaves the disk to the mail, unless the operator has said that
// its files are looked after.
// Covers Q16.
func TestLogFitsTheDisk(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, tt := range []struct {
		rotate, total         int64
		disk                  uint64
		wantRotate, wantTotal int64
	}{
		{256 * mib, 8 * gib, 0, 256 * mib, 8 * gib},
		{256 * mib, 8 * gib, 64 * gib, 256 * mib, 8 * gib},
		{256 * mib, 8 * gib, 4 * gib, 128 * mib, 512 * mib},
		{256 * mib, 8 * gib, 64 * mib, 2 * mib, 8 * mib},
		{256 * mib, 8 * gib, 8 * mib, mib, mib},
		{mib, 2 * mib, 64 * mib, mib, 2 * mib},
		{0, 8 * gib, 64 * mib, 0, 8 * gib},
		{256 * mib, 0, 64 * mib, 256 * mib, 0},
	} {
		rotate, total := boundLog(tt.rotate, tt.total, tt.disk)
		if rotate != tt.wantRotate || total != tt.wantTotal {
			t.Errorf("rotate %d, total %d on %d: got %d and %d, want %d and %d",
				tt.rotate, tt.total, tt.disk, rotate, total, tt.wantRotate, tt.wantTotal)
		}
	}
}
