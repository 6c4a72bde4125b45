package classify_test

import (
	"strings"
	"testing"
	"time"

	"postrider/relay/classify"
)

// Covers Q10.
func TestParseWait(t *testing.T) {
	tests := []struct {
		text string
		want time.Duration
	}{
		{"Greylisted, please try again in 300 seconds", 5 * time.Minute},
		{"Try again in 5 minutes", 5 * time.Minute},
		{"please retry in 1 hour.", time.Hour},
		{"Retry-After: 120", 2 * time.Minute},
		{"retry after 90", 90 * time.Second},
		{"Try again after 1 minute(s).", time.Minute},
		{"Greylisting in action, please come back in 00:05:00", 5 * time.Minute},
		{"come back in 01:00:30 hours", time.Hour + 30*time.Second},
		{"Greylisted for 5 minutes, see http://example.org/greylisting?t=60", 5 * time.Minute},
		{"You have to wait 30s", 30 * time.Second},
		{"Please wait at least 15 mins before you connect", 15 * time.Minute},
		{"too fast, wait for another 2 h", 2 * time.Hour},
		{"message delayed 299 seconds", 299 * time.Second},
		{"in 3 minutes try again", 3 * time.Minute},
		{"Bitte in 10 Minuten erneut versuchen", 10 * time.Minute},
		{"Bitte versuchen Sie es in 2 Stunden noch einmal", 2 * time.Hour},
		{"Nachricht abgelehnt, nach 600 Sekunden erneut versuchen", 10 * time.Minute},
		{"Veuillez réessayer dans 5 minutes", 5 * time.Minute},
		{"Essayez à nouveau après 2 heures", 2 * time.Hour},
		{"intente nuevamente en 20 minutos", 20 * time.Minute},
		{"Повторите попытку через 5 минут", 5 * time.Minute},
		{"try again in 10 days", 24 * time.Hour},
		{"try again in 99999999999999999999 hours", 24 * time.Hour},

		{"", 0},
		{"Try again later", 0},
		{"too many messages: 100 per 60 minutes, try again later", 0},
		{"only 5 connections in 60 seconds are allowed", 0},
		{"Try again later. 20 minutes of downtime were announced", 0},
		{"retry from another address than 192.0.2.1 m", 0},
		{"Please try again in 4.5 minutes", 0},
		{"wait 0 minutes", 0},
		{"see rule 12 for 30 minutes", 0},
		{"try again (code 450)", 0},
	}
	for _, tt := range tests {
		if got := classify.ParseWait([]byte(tt.text)); got != tt.want {
			t.Errorf("%q: %v, want %v", tt.text, got, tt.want)
		}
		if got := classify.ParseWait([]byte(strings.ToUpper(tt.text))); got != tt.want && isASCII(tt.text) {
			t.Errorf("%q in upper case: %v, want %v", tt.text, got, tt.want)
		}
	}
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func FuzzParseWait(f *testing.F) {
	f.Add([]byte("try again in 5 minutes"))
	f.Add([]byte("retry after 10:10:10:10"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if d := classify.ParseWait(text); d < 0 || d > 24*time.Hour {
			t.Fatalf("%q: %v", text, d)
		}
	})
}
