// Package journal is the only record of a run: an append-only list of events,
// from which verdicts, reports and recovery are all derived.
//
// An event is a fact with the time at which it was written. Nothing here decides
// anything; package run writes events, packages judge and recover read them. The
// journal is data, never code, and holds no secret: what recovery needs of one is
// a reference to an environment variable or a file.
//
// On disk a run is a folder (0700) with the file journal.jsonl (0600): one JSON
// object a line, each with a checksum that covers the line before it, so that a
// torn last line is told apart from a changed one.
package journal
