package app_test

import (
	"net"
	"net/textproto"
	"strings"
	"time"
)

// loginFlows are sessions with logins of all kinds, right, wrong, malformed and out
// of place.
func loginFlows() [][]string {
	long := strings.Repeat("A", 12400)
	return [][]string{
		{"AUTH PLAIN " + plain("alice", goodPassword), "AUTH PLAIN " + plain("alice", goodPassword), "QUIT"},
		{"AUTH PLAIN", plain("alice@here.example", goodPassword)},
		{"AUTH LOGIN", b64("alice"), b64(goodPassword)},
		{"AUTH LOGIN " + b64("alice"), b64(wrongPassword), "AUTH LOGIN", b64("nobody"), b64(goodPassword), "AUTH PLAIN " + plain("nobody", wrongPassword)},
		{"AUTH PLAIN " + plain("alice", wrongPassword), "AUTH PLAIN " + plain("alice", wrongPassword), "AUTH PLAIN " + plain("alice", wrongPassword),
			"AUTH PLAIN " + plain("alice", wrongPassword), "AUTH PLAIN " + plain("alice", wrongPassword)},
		{"AUTH PLAIN " + b64("bob\x00alice\x00"+goodPassword), "AUTH PLAIN " + b64("alice\x00"+goodPassword), "AUTH PLAIN " + b64(goodPassword)},
		{"AUTH PLAIN " + plain("alice", goodPassword) + "=", "AUTH PLAIN " + goodPassword, "AUTH PLAIN " + plain("alice", goodPassword) + " x"},
		{"AUTH PLAIN " + plain("alice", goodPassword) + long, "AUTH PLAIN", plain("alice", goodPassword) + long, "NOOP"},
		{"AUTH LOGIN", b64("alice"), goodPassword, "AUTH LOGIN", b64("alice"), "*", b64(goodPassword)},
		{"AUTH CRAM-MD5", plain("alice", goodPassword), "AUTH CRAM-MD5 " + plain("alice", goodPassword), "AUTH DIGEST-MD5 " + b64(goodPassword)},
		{"AUTH SCRAM-SHA-256 " + b64("n,,n=alice,r=fyko+d2lbbFgONRv"), b64("c=biws,r=x,p=" + b64(goodPassword))},
		{"AUTH OAUTHBEARER " + b64("n,a=alice,\x01auth=Bearer "+bearerToken+"\x01\x01"), "AUTH XOAUTH2 " + b64("user=alice\x01auth=Bearer "+bearerToken+"\x01\x01")},
		{"AUTH\tPLAIN " + plain("alice", goodPassword), "AUTH PLAIN\t" + plain("alice", goodPassword), "AUTHPLAIN " + plain("alice", goodPassword)},
		{"AUTH PLAIN \xff" + plain("alice", goodPassword), "AUTH " + plain("alice", goodPassword), "AUTH"},
		{plain("alice", goodPassword), b64(goodPassword), goodPassword, "PASS " + goodPassword, "LOGIN alice " + goodPassword, "USER alice"},
		{"MAIL FROM:<alice@here.example> AUTH PLAIN " + plain("alice", goodPassword), "MAIL FROM:<alice@here.example> AUTH=" + plain("alice", goodPassword),
			"MAIL FROM:<alice@here.example> AUTH=" + b64(goodPassword+"x"), "MAIL AUTH PLAIN " + plain("alice", goodPassword)},
		{"AUTH PLAIN " + plain("alice", goodPassword), "MAIL FROM:<alice@here.example> AUTH=" + goodPassword, "AUTH PLAIN " + plain("alice", goodPassword), "RCPT TO:<u@far.example>",
			"AUTH LOGIN", b64("alice"), b64(goodPassword), "RSET"},
		{"AUTH PLAIN " + plain("alice", goodPassword) + "\r\nMAIL FROM:<alice@here.example>\r\nRCPT TO:<u@never.example> ORCPT=" + goodPassword},
		{"STARTTLS", "AUTH PLAIN " + plain("alice", goodPassword), "EHLO client.example.org", "HELO client.example.org", "AUTH PLAIN " + plain("alice", goodPassword)},
	}
}

// tryPOP3 logs in by POP3 in as many ways.
func (a *appliance) tryPOP3() {
	a.t.Helper()
	for _, lines := range [][]string{
		{"USER alice", "PASS " + goodPassword, "PASS " + goodPassword, "QUIT"},
		{"USER alice", "PASS " + wrongPassword, "PASS " + goodPassword, goodPassword, "USER " + goodPassword + " x"},
		{"USER nobody", "PASS " + goodPassword, "APOP alice " + goodPassword},
		{"AUTH PLAIN " + plain("alice", goodPassword) + "=", "AUTH PLAIN", plain("alice", wrongPassword), "AUTH LOGIN", b64("alice"), b64(goodPassword)},
		{"AUTH PLAIN", "*", plain("alice", goodPassword), "AUTH CRAM-MD5 " + plain("alice", goodPassword), "AUTH PLAIN " + plain("alice", goodPassword)},
		{"AUTH XOAUTH2 " + b64("user=alice\x01auth=Bearer "+bearerToken+"\x01\x01"), "PASS " + goodPassword, "STLS", "USER alice" + strings.Repeat("x", 600), "PASS " + goodPassword},
	} {
		conn, err := net.Dial("tcp", a.Addresses()[1])
		if err != nil {
			a.t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			a.t.Fatal(err)
		}
		text := textproto.NewConn(conn)
		if said, err := text.ReadLine(); err != nil || !strings.HasPrefix(said, "+OK") {
			a.t.Fatalf("greeting of POP3: %q, %v", said, err)
		}
		for _, line := range lines {
			if text.PrintfLine("%s", line) != nil {
				break
			}
			if _, err := text.ReadLine(); err != nil {
				break // the server has had enough
			}
		}
		_ = conn.Close()
	}
}
