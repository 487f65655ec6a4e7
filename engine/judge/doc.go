// Package judge turns the events of a run into a Result: verdicts with sample
// sizes and intervals, times, and what was put back.
//
// It is pure. Nothing here reads a clock, a file or a random source, so that the
// same journal gives the same Result today, next year and on another machine, and
// so that the run loop can use the same parts while the run goes on:
//
//   - [Tally] and [GateBaseline] decide whether anything may be injected at all,
//   - [Watch] says when an objective is proven broken and the fault should end,
//   - [Steady] says when the system is steady again,
//   - [Folder] follows the whole run and yields its [Result].
//
// An objective is a share of good samples. With x bad samples of n and an allowed
// bad share b it is broken when that many bad ones would be a surprise of at most
// [Alpha] in a system that just keeps its target, held when the upper
// [Confidence] bound of the true bad share is within b, and inconclusive
// otherwise: missing data never makes a verdict of held.
package judge
