// Package engine is only a signpost: what runs a game day lives in its folders, in
// the order in which a run passes through them.
//
//	scenario   text → typed scenario, every error with its place and a hint
//	plan       scenario + discovered targets + seed → an immutable, hashed plan
//	run        executes the plan; every decision and fact becomes an event
//	journal    append-only events; the only record of a run
//	judge      pure: events → result, verdicts with sample sizes and intervals
//	report     pure: result → terminal, JSON, JUnit, Markdown
//
// Beside the flow, host runs the plugins' processes and recover undoes, from a
// journal alone, what an unfinished run left. Nothing flows backwards: a test in this
// folder holds the imports against that.
package engine
