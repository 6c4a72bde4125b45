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
