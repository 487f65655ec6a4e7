// Package selftest proves on this machine that nothing stays broken. It runs real
// game days on targets of its own, kills or stops the engine, its plugin and its
// guardian at every event of the journal, and then looks at the targets themselves:
// is the fault gone, how soon, and who put it back.
//
// It knows of faultline only what a person at a terminal knows: the commands, the
// journal, and the files of a run's folder. It believes none of them: whether a
// target is clean is read from /proc, from the Docker engine, or from a command of
// the user's.
//
// Everything that it starts runs from files in one folder of its own, so that a
// process is known for ours by the path of its program. Nothing else is ever
// signalled.
package selftest
