package wire

import "testing"

// Clients get the descriptors that deliveries and the store do not need.
//
// Covers HR2.
func TestConnectionShare(t *testing.T) {
	for _, m := range []struct {
		descriptors uint64
		want        int
	}{
		{0, 16},
		{64, 32},
		{1024, 512},
		{8192, 4096},
		{8194, 4098},
		{16384, 12288},
		{16388, 12291},
		{20000, 15000}, // 10,000 idle clients are less than nine tenths of it: no stress
		{1 << 20, 3 << 18},
		{1 << 24, 3 << 22},
		{1<<64 - 1, 3 << 22}, // no limit
	} {
		if got := connectionShare(m.descriptors); got != m.want {
			t.Errorf("%d descriptors: %d connections, want %d", m.descriptors, got, m.want)
		}
	}
}
