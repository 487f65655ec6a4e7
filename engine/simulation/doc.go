// Package simulation is a test: a world of its own, in which everything dies that can.
//
// Each world is made from a seed. It has targets (lamps), plugins, an engine with its
// guardian, and whoever recovers later; all of them are the real code, down to the
// journals and locks in a folder in memory, and none of them is a process: time is
// that of testing/synctest, and a death is a refusal of everything that the dead one
// still tries. So thousands of worlds fit into a minute, and a death can be placed
// before, in the middle of and after every single write of a run.
//
// Afterwards the invariants of the architecture are checked on the lamps themselves
// and on the journals: see invariants_test.go. A failing seed is printed, and played
// again with
//
//	go test ./engine/simulation -run TestWorlds -seed N
//
// -worlds N plays that many.
package simulation
