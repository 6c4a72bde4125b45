//go:build !race && !invariants

package delivery_test

import (
	"testing"

	"postrider/internal/mail"
)

// Filing a message costs agent and store at most four allocations, all that they do in
// the background included.
func TestDeliveryHardlyAllocates(t *testing.T) {
	const most = 4
	o := open(t, nil)
	var text mail.Body = body(bigText())
	d, env := new(mail.Delivery), &mail.Envelope{Sender: []byte("s@y.example")}
	address := []byte("alice@x.example")
	file := func() {
		o.ids++
		env.Reset()
		env.ID = mail.MakeID(o.now.UnixMilli(), 0, 2, o.ids)
		env.AddRecipient(address, 0, nil)
		d.Prepare(1)
		d.Envelope, d.Body, d.Sender = env, text, env.Sender
		d.Recipients = append(d.Recipients, 0)
		if !o.a.Direct(t.Context(), d, false) || !d.Outcomes[0].OK() {
			t.Fatal("not filed")
		}
	}
	for range 100 {
		file()
	}
	if n := testing.AllocsPerRun(500, file); n > most {
		t.Errorf("%v allocations a delivery, at most %d are allowed", n, most)
	} else {
		t.Logf("%v allocations a delivery", n)
	}
}
