package recover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

// dyingPatience is how long the lock of a process that is at its end may still be held:
// by itself, until the kernel has taken it apart, or by a child that it was just about
// to start. On a busy machine that takes a while.
const dyingPatience = 5 * time.Second

// Pending lists the runs that need recovery, unfinished ones and finished ones that left
// residue, and the live ones, which need nobody. A run that died before its first event
// was on disk is in neither: an intent comes after that, so that nothing was broken.
//
// A run whose process is dying is neither live nor to be recovered yet: Pending waits
// until that is decided, for a few seconds, and calls it live if it is not by then.
func Pending(ctx context.Context, store *journal.Store) (open, live []journal.RunInfo, err error) {
	for end := time.Now().Add(dyingPatience); ; pause(ctx, look) {
		runs, err := store.Runs()
		if err != nil {
			return nil, nil, err
		}
		open, live = nil, nil
		for _, r := range runs {
			switch {
			case r.Live:
				live = append(live, r)
			case !settled(r):
				open = append(open, r)
			}
		}
		hopeful := slices.ContainsFunc(live, func(r journal.RunInfo) bool { return r.Owner > 0 && dying(r.Owner) })
		if !hopeful || ctx.Err() != nil || !time.Now().Before(end) {
			return open, live, nil
		}
	}
}

// settled says whether a run that nobody holds needs no recovery.
func settled(r journal.RunInfo) bool {
	return r.Finished && r.Residue == 0 || r.Err != nil && neverBegan(r)
}

func neverBegan(r journal.RunInfo) bool {
	log, err := journal.ReadAll(r.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return err == nil && len(log.Events) == 0
}

// ended says whether a journal ends with its run's end.
func ended(events []journal.Event) bool {
	_, ok := events[len(events)-1].Data.(*journal.RunEnded)
	return ok
}

// endedClean says whether it is one that leaves nothing to do.
func endedClean(events []journal.Event) bool {
	e, ok := events[len(events)-1].Data.(*journal.RunEnded)
	return ok && e.Residue == 0
}

// dying says whether a process has ended, is ending, or is about to by a SIGKILL that
// it has not yet come to. Where there is no /proc to ask, nobody is.
func dying(pid int) bool {
	proc := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(proc + "/stat")
	if err != nil {
		_, e := os.Stat("/proc/self/stat")
		return e == nil && errors.Is(err, fs.ErrNotExist)
	}
	// After the name, which may hold anything, come the state and five numbers, and then
	// the kernel's flags (proc_pid_stat(5)).
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 7 {
		return false
	}
	const exiting = 0x4 // PF_EXITING in the kernel's sched.h
	flags, err := strconv.ParseUint(string(fields[6]), 10, 64)
	if state := fields[0][0]; state == 'Z' || state == 'X' || err == nil && flags&exiting != 0 {
		return true
	}
	status, err := os.ReadFile(proc + "/status")
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) // since a moment ago
	}
	for _, line := range bytes.Split(status, []byte("\n")) {
		for _, name := range []string{"SigPnd:\t%x", "ShdPnd:\t%x"} {
			var pending uint64
			const kill = 1 << (9 - 1)
			if n, _ := fmt.Sscanf(string(line), name, &pending); n == 1 && pending&kill != 0 {
				return true
			}
		}
	}
	return false
}
