package smtpd_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postrider/relay/smtpd"
)

// While nine of ten connections are open, clients have less time for a command,
// also those that were idle before; until then an idle client is left in peace.
//
// Covers HR1.
func TestStress(t *testing.T) {
	o := &smtpd.Options{Handler: &recorder{}, Limits: smtpd.Limits{Connections: 10}}
	inBubble(t, o, func(t *testing.T, p *pipes) {
		ended := make(chan string, 9)
		idle := func() net.Conn {
			nc := p.dial()
			go func() {
				b, _ := io.ReadAll(nc) // ends with the connection
				_ = nc.Close()
				ended <- string(b)
			}()
			synctest.Wait()
			return nc
		}
		conns := []net.Conn{}
		for range 8 {
			conns = append(conns, idle())
		}
		wait := time.NewTimer(100 * time.Second)
		<-wait.C
		if n := len(ended); n > 0 {
			t.Fatalf("%d of 8 idle sessions ended before there was any stress", n)
		}
		began := time.Now()
		conns = append(conns, idle())
		if said := <-ended; !strings.HasSuffix(said, "\r\n421 4.4.2 Timeout\r\n") {
			t.Errorf("an idle session under stress: %q", said)
		}
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("the first idle session ended after %v of stress", took)
		}
		for _, nc := range conns {
			_ = nc.Close()
		}
		for range 8 {
			<-ended
		}
	})
}
