//go:build linux

package main

import (
	"slices"
	"strings"

	"github.com/faultline-go/faultline/plugins/internal/incarnation"
)

// markVariable is the environment variable that tells a process which we started,
// and whose place it takes, from one that a supervisor started.
const markVariable = "FAULTLINE_LEASE"

// markOf reads the mark of a process; empty when it has none.
func markOf(pid int) string {
	for _, v := range environ(pid) {
		if mark, ok := strings.CutPrefix(v, markVariable+"="); ok {
			return mark
		}
	}
	return ""
}

// identical finds the processes that run the same command as p, p included, in the
// order of their start.
func identical(p process) ([]incarnation.Incarnation, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	var out []incarnation.Incarnation
	for _, q := range all {
		same, err := q.runs(p.key(), p.executable)
		if err != nil {
			return nil, err
		}
		if same {
			out = append(out, q.Incarnation)
		}
	}
	slices.SortFunc(out, byStart)
	return out, nil
}

// runs says whether a process has that key. The executable, when it is known, rules
// out most processes at little cost.
func (p *process) runs(key, executable string) (bool, error) {
	if p.kernel || executable != "" && executableOf(p.PID) != executable {
		return false, nil
	}
	ok, err := p.fill()
	return ok && p.key() == key, err
}

// back finds the process that has taken the place of the killed one.
//
// For a pid file that is the process which the file names now. Otherwise it is the
// one that we started for it, known by its mark, or a new one with the same command.
// Where several identical processes died, as many new ones replace them in the order
// of their starts, so that one return is not counted for two.
func (u killUndo) back() (process, bool, error) {
	if u.PIDFile != "" {
		p, ok, err := fromPIDFile(u.PIDFile)
		if err != nil || !ok || p.Incarnation == u.Process {
			return process{}, false, err
		}
		// A file that was not rewritten may name a pid that was given to a stranger.
		if p.PID == u.Process.PID && p.key() != u.Key && markOf(p.PID) != restartMark(u.Process) {
			return process{}, false, nil
		}
		return p, true, nil
	}
	all, err := processes()
	if err != nil {
		return process{}, false, err
	}
	alive := map[incarnation.Incarnation]bool{}
	var newcomers []process
	replaced := map[string]bool{} // marks of identical processes that we started again
	for _, p := range all {
		alive[p.Incarnation] = true
		if p.kernel || p.Start < u.Process.Start || slices.Contains(u.Identical, p.Incarnation) || u.left(p) {
			continue
		}
		same, err := p.runs(u.Key, "")
		if err != nil {
			return process{}, false, err
		}
		mark := markOf(p.PID)
		switch {
		// The command that we run may be another than the one that was killed; what it
		// leaves behind in other sessions inherits the mark and is not it.
		case mark == restartMark(u.Process) && (same || p.session == p.PID):
			return p, true, nil
		case same && u.marksIdentical(mark):
			replaced[mark] = true
		case same:
			newcomers = append(newcomers, p)
		}
	}
	slices.SortFunc(newcomers, func(a, b process) int { return byStart(a.Incarnation, b.Incarnation) })
	place := 0
	for _, i := range u.Identical {
		if i == u.Process {
			break
		}
		if !alive[i] && !replaced[restartMark(i)] {
			place++
		}
	}
	if place < len(newcomers) {
		return newcomers[place], true, nil
	}
	return process{}, false, nil
}

// left says whether a process is one that the killed one forked and left behind: it
// still is in the same session, but nobody started it in its parent's place. Init
// (pid 1) starts services in sessions of their own, and inherits orphans.
func (u killUndo) left(p process) bool {
	return p.session == u.Session && (p.parent != u.Parent || p.parent == 1)
}

func (u killUndo) marksIdentical(mark string) bool {
	return slices.ContainsFunc(u.Identical, func(i incarnation.Incarnation) bool { return restartMark(i) == mark })
}
