//go:build linux

package main

import (
	"fmt"
	"strings"

	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// accepts is what the faults of this plugin work on: a process of any plugin that
// says exactly which one.
var accepts = []schema.Accept{{Interface: "process", Attributes: []string{"pid", "start_ticks"}}}

// resolve finds the process that a target is now: the one that was discovered, or
// its successor under the same logical id. It refuses what must be spared and what
// we may not signal.
func resolve(t sdk.Candidate) (named, error) {
	p, err := current(t)
	if err != nil {
		return named{}, err
	}
	reason, err := spared()
	if err != nil {
		return named{}, err
	}
	if why := reason(p.process); why != "" {
		return named{}, fmt.Errorf("process %d is never a target: %s", p.PID, why)
	}
	return p, mayKill(p.Incarnation)
}

func current(t sdk.Candidate) (named, error) {
	if file, ok := strings.CutPrefix(t.ID, filePrefix); ok && t.Kind == processTarget.Type {
		p, ok, err := fromPIDFile(file)
		if err == nil && !ok {
			err = fmt.Errorf("pid file %s names no live process: %w", file, sdk.ErrGone)
		}
		return named{p, t.ID, file}, err
	}
	pid, okPID := number(t.Attributes["pid"])
	start, okStart := number(t.Attributes["start_ticks"])
	if !okPID || !okStart {
		return named{}, fmt.Errorf("target %s: its attributes pid and start_ticks are needed to tell which process it is", t.ID)
	}
	boot, err := incarnation.BootID()
	if err != nil {
		return named{}, err
	}
	p, alive, err := find(incarnation.Incarnation{PID: int(pid), Start: uint64(start), Boot: boot})
	if err == nil && alive {
		alive, err = p.fill()
	}
	if err != nil {
		return named{}, err
	}
	if alive {
		return named{process: p, id: t.ID}, nil
	}
	return successor(t)
}

// successor finds the process that took the place of a discovered one: the only
// one with its command. Among identical ones nobody can tell, and hitting one that
// the plan does not list would be worse than hitting none.
func successor(t sdk.Candidate) (named, error) {
	if t.Kind != processTarget.Type || strings.Contains(t.ID, "#") {
		return named{}, fmt.Errorf("%s: %w", t.Name, sdk.ErrGone)
	}
	all, err := processes()
	if err != nil {
		return named{}, err
	}
	everyone, err := numbered(all)
	if err != nil {
		return named{}, err
	}
	var same []named
	for _, p := range everyone {
		if p.key() == keyOf(t.ID) {
			same = append(same, p)
		}
	}
	if len(same) != 1 {
		return named{}, fmt.Errorf("%s: %d processes run the same command now: %w", t.Name, len(same), sdk.ErrGone)
	}
	return same[0], nil
}

// keyOf is the key that a logical id was made from.
func keyOf(id string) string {
	key, _, _ := strings.Cut(strings.TrimPrefix(id, commandPrefix), "#")
	return key
}

// number reads a number that came as JSON, or as the plugin made it.
func number(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case uint64:
		return float64(n), true
	}
	return 0, false
}
