// Package report shows what a measurement found: as a file, as a page, as a table.
//
// The JSON file is the original and keeps everything; docs/bench-results.md tells
// its fields. All else is made from it again at any time: a page of HTML that
// opens without a network, a table for the terminal, a row of Markdown, the lines
// of a Go benchmark for benchstat. Progress is what one sees meanwhile.
//
// A server that may forget mail is faster than one that may not. So servers whose
// durability classes promise different things are never drawn or tabled together
// and no ratio between them is printed, unless Options.Mixed asks for it; then
// a warning says so. D2 and D3 promise the same, that accepted mail outlives a
// power cut, and go together. A class that nobody verified promises nothing.
//
// Names, versions and configurations come from outside and are shown as text,
// whatever they contain.
//
// # Concurrency
//
// Functions of their arguments, which they leave as they are. A Progress is safe
// for concurrent use.
package report

// Options says how to show a file.
type Options struct {
	// Mixed shows durability classes together that promise different things.
	Mixed bool
}
