package invariants

import "testing"

func TestMangleAndCheckFollowTheTag(t *testing.T) {
	b := []byte("abc")[:1]
	Mangle(b)
	if got := b[:3:3][2] != 'c'; got != Enabled {
		t.Errorf("mangled beyond the length: %v, enabled: %v", got, Enabled)
	}
	defer func() {
		if got := recover() != nil; got != Enabled {
			t.Errorf("panicked: %v, enabled: %v", got, Enabled)
		}
	}()
	Check(false, "broken on purpose")
}
