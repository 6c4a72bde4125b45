package report

import (
	"html/template"
	"io"
	"strings"

	"postrider/bench/result"
)

// HTML writes a page that needs nothing but itself.
func HTML(w io.Writer, f *result.File, o Options) error {
	var b strings.Builder
	if err := Table(&b, f, o); err != nil {
		return err
	}
	page, err := template.New("page").Parse("<!doctype html><meta charset=\"utf-8\"><title>postbench</title><pre>{{.}}</pre>\n")
	if err != nil {
		return err
	}
	return page.Execute(w, b.String())
}
