package mailbox_test

import (
	"testing"

	"postrider/delivery/mailbox"
)

func TestEmailIDAppend(t *testing.T) {
	for id, want := range map[mailbox.EmailID]string{
		{Blob: 1}:                      "M1",
		{Blob: 1, Variant: 1}:          "M1-1",
		{Blob: 1<<64 - 1, Variant: 36}: "M3w5e11264sgsf-10",
	} {
		if got := string(id.Append(nil)); got != want {
			t.Errorf("%v: %s, want %s", id, got, want)
		}
	}
}
