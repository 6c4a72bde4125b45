package smtpd_test

import (
	"testing"

	"postrider/internal/dialogue"
	"postrider/relay/smtpd"
)

// What a sender asks of TLS reaches the session with the message it is for:
// REQUIRETLS makes the header's waiver void, and neither outlives its transaction.
//
// Covers R18.
func TestTLSRequiredIsHandedOver(t *testing.T) {
	r := &recorder{}
	_, dial := start(t, &smtpd.Options{Handler: r, TLS: certificate, Limits: smtpd.Limits{MessageBytes: 1_000_000}})
	dialogue.Run(t, "testdata/requiretls.txt", dial())
	m := r.taken()
	if len(m) != 3 {
		t.Fatalf("%d messages", len(m))
	}
	for i, want := range []struct{ required, waived bool }{{true, false}, {false, true}, {true, false}} {
		if m[i].required != want.required || m[i].waived != want.waived {
			t.Errorf("message %d: required %v, waived %v", i, m[i].required, m[i].waived)
		}
	}
	if m[0].mail.Size != 9 || m[0].mail.Body != 2 {
		t.Errorf("parameters beside REQUIRETLS: %+v", m[0].mail)
	}
}
