// Package maillog writes the event log: one JSON object a line for each thing
// that happens to a message, with names that never change within schema version
// 1. docs/events.md lists every event and field.
//
// There is one typed method an event, so a line cannot be misspelt, and every
// line stands alone: whoever greps one id sees the message's whole life.
//
// # Guarantees
//
// One event is one line. Whatever a stranger put into a name or a reply, control
// characters, line separators, direction marks and bytes that are not UTF-8 come
// out escaped.
//
// Events are never sampled. Each has the number seq, which grows by one from
// line to line of a node, across rotations and restarts; a gap is a lost line,
// and Stats counts it.
//
// A line is in a buffer first and in the file within a second, at Sync and at
// Close. After a crash a torn last line is cut off; the queue replays the events
// that were not synced, so a line may come twice but an event is not lost.
//
// A log that cannot be written never blocks mail for good: while writing is only
// slow, events wait for it (or are dropped and counted, by Options.OnStall);
// while it fails, what does not fit into the buffer is dropped and counted, and
// Sync reports the error.
//
// # Concurrency
//
// Log is safe for concurrent use. It runs one goroutine, which Close ends. Lock
// order: Log's sink.io before sink.mu.
//
// # Format
//
// UTF-8 JSON objects, one a line, in files that are only appended to. The
// current file has the configured name; a full one is renamed to carry the UTC
// time of its renaming before the extension (events-20261122T213004.212345Z.jsonl),
// so names sort by age.
package maillog

// SchemaVersion is the "v" of every line.
const SchemaVersion = 1
