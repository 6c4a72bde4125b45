package report

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"postrider/bench/result"
)

// The page about the format tells every field, and says so of no other version.
func TestDocsTellEveryField(t *testing.T) {
	data, err := os.ReadFile("../../docs/bench-results.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	if !strings.Contains(page, "`schema` is 1.") || result.Schema != 1 {
		t.Errorf("the page tells another version than %d", result.Schema)
	}
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] || typ.PkgPath() == "time" {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				t.Errorf("%s.%s has no name in JSON", typ.Name(), f.Name)
			} else if !strings.Contains(page, "`"+name+"`") && !strings.Contains(page, "."+name+"`") {
				t.Errorf("the page does not tell %s of %s", name, typ.Name())
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeOf(result.File{}))
	if len(seen) < 12 {
		t.Errorf("walked only through %d types", len(seen))
	}
}
