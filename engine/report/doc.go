// Package report renders a judge.Result: for a terminal, as JSON, JUnit XML and
// Markdown; and what is made of several: the list of past runs, two runs side by side,
// and coverage.
//
// Every renderer is a pure function of its arguments in a file of its own and has
// a golden file. The sentences are for people who did not take part: they say what
// was tried, what came out and how sure that is, and blame nobody.
package report
