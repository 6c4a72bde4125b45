package message_test

import (
	"testing"

	"postrider/internal/message"
)

func TestAppendCharset(t *testing.T) {
	for value, want := range map[string]string{
		"text/plain; charset=utf-8":                      "utf-8",
		` text/html;format=flowed; Charset="iso-8859-1"`: "iso-8859-1",
		"text/plain": "",
		"nonsense":   "",
		"text/plain (a comment); x=y; charset=koi8-r (or)": "koi8-r",
	} {
		if got := string(message.AppendCharset(nil, []byte(value))); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}
