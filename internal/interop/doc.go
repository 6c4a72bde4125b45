// Package interop runs the built binaries as processes: against the clients and
// servers that other people wrote, through crashes, full disks and signals. Its
// tests carry the build tag "interop"; internal/interop/run installs what they
// need and starts them.
package interop
