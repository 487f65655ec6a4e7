// Package report renders a judge.Result: for a terminal, as JSON, JUnit XML, Markdown,
// annotations of GitHub Actions, OpenMetrics, an HTML page and the draft of a
// post-mortem; and what is made of several: the list of past runs, two runs side by
// side, and coverage. Events and Samples render a journal's events themselves, as they
// are read: NDJSON and CSV.
//
// Every renderer is a pure function of its arguments in files of its own and has
// a golden file. The sentences are for people who did not take part: they say what
// was tried, what came out and how sure that is, and blame nobody.
package report
