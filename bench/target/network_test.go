package target

import "testing"

func TestNearby(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:25": true, "127.9.8.7:25": true, "[::1]:25": true, "10.1.2.3:25": true, "192.168.0.9:25": true,
		"[fd00::1]:25": true, "[::ffff:10.0.0.1]:25": true,
		"8.8.8.8:25": false, "192.0.2.1:25": false, "[2001:db8::1]:25": false, "[::ffff:8.8.8.8]:25": false, "0.0.0.0:25": false,
		"nonsense": false,
	} {
		if err := nearby(t.Context(), address); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}
