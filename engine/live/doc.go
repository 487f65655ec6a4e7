// Package live shows a run while it goes on: plain lines for what happens and, on a
// terminal, a picture below them that is drawn anew: the time line with a cursor, the
// faults with their leases, each objective's course, how far the guards are from
// stopping the run, and keys to note, mark and halt.
//
// The run hands over what there is to show and never waits until it is shown: behind a
// terminal that was stopped with Ctrl-S, or a reader that does not read, faults end in
// time all the same.
package live
