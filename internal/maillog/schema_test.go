package maillog_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// Every event and every field that is written is in the reference.
func TestTheReferenceIsComplete(t *testing.T) {
	page, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/every.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		for _, name := range append(keys(e), e["ev"].(string)) {
			if !strings.Contains(string(page), "`"+name+"`") && !strings.Contains(string(page), " "+name+" ") && !strings.Contains(string(page), " "+name+"`") && !strings.Contains(string(page), "`"+name+" ") {
				t.Errorf("%s is not in events.md", name)
			}
		}
	}
}

func keys(e map[string]any) (names []string) {
	for name := range e {
		names = append(names, name)
	}
	return names
}
