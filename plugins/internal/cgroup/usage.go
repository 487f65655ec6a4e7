package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// CPUTime is the processor time that the group has used so far; false when nothing
// counts it.
func (g Groups) CPUTime() (time.Duration, bool, error) {
	if g.separate() {
		n, ok, err := number(g.legacy["cpuacct"], "cpuacct.usage")
		return time.Duration(n), ok, err
	}
	n, ok, err := field(g.unified, "cpu.stat", "usage_usec")
	return time.Duration(n) * time.Microsecond, ok, err
}

// CPUs is how many processors the group, and those above it, may use at most; false
// when that is not limited.
func (g Groups) CPUs() (float64, bool, error) {
	least := math.Inf(1)
	err := g.upwards("cpu", func(folder string) error {
		quota, period, ok, err := g.quota(folder)
		if ok && quota > 0 && period > 0 {
			least = min(least, quota/period)
		}
		return err
	})
	return least, !math.IsInf(least, 1), err
}

func (g Groups) quota(folder string) (quota, period float64, ok bool, err error) {
	if g.separate() {
		q, ok, err := number(folder, "cpu.cfs_quota_us")
		if !ok || err != nil || q <= 0 {
			return 0, 0, false, err
		}
		p, ok, err := number(folder, "cpu.cfs_period_us")
		return float64(q), float64(p), ok, err
	}
	text, ok, err := read(folder, "cpu.max")
	words := strings.Fields(text)
	if !ok || err != nil || len(words) != 2 || words[0] == "max" {
		return 0, 0, false, err
	}
	q, errQ := strconv.ParseFloat(words[0], 64)
	p, errP := strconv.ParseFloat(words[1], 64)
	return q, p, true, errors.Join(errQ, errP)
}

// Memory is what a group may use and uses, in bytes.
type Memory struct {
	Limit int64 // of the group or one above it: the one that leaves the least room
	Room  int64 // what may still be used before that limit is met; caches count as room
}

// unlimited is above what any machine has: version 1 writes "no limit" as a huge
// number.
const unlimited = math.MaxInt64 / 4

// Memory finds the tightest limit; false when there is none.
func (g Groups) Memory() (Memory, bool, error) {
	tightest := Memory{Room: math.MaxInt64}
	err := g.upwards("memory", func(folder string) error {
		limit, used, ok, err := g.memory(folder)
		if ok && limit-used < tightest.Room {
			tightest = Memory{Limit: limit, Room: max(limit-used, 0)}
		}
		return err
	})
	return tightest, tightest.Room != math.MaxInt64, err
}

// memory reads the limit of one group and what its processes use of it. The file cache
// that has not been used of late is not counted: the kernel drops it before it lets
// anything fail.
func (g Groups) memory(folder string) (limit, used int64, ok bool, err error) {
	limitFile, usedFile, cache := "memory.max", "memory.current", "inactive_file"
	if g.separate() {
		limitFile, usedFile, cache = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
	}
	limit, ok, err = number(folder, limitFile)
	if !ok || err != nil || limit >= unlimited {
		return 0, 0, false, err
	}
	used, ok, err = number(folder, usedFile)
	if !ok || err != nil {
		return 0, 0, false, err
	}
	cached, _, err := field(folder, "memory.stat", cache)
	return limit, max(used-cached, 0), err == nil, err
}

// PIDs is how many processes and threads a group may have and has.
type PIDs struct {
	Limit int64 // of the group or one above it: the one that leaves the least room
	Room  int64
}

// PIDs finds the tightest limit; false when there is none.
func (g Groups) PIDs() (PIDs, bool, error) {
	tightest := PIDs{Room: math.MaxInt64}
	err := g.upwards("pids", func(folder string) error {
		limit, ok, err := number(folder, "pids.max")
		if !ok || err != nil {
			return err
		}
		now, ok, err := number(folder, "pids.current")
		if ok && limit-now < tightest.Room {
			tightest = PIDs{Limit: limit, Room: max(limit-now, 0)}
		}
		return err
	})
	return tightest, tightest.Room != math.MaxInt64, err
}

// Stalled is the share of the last ten seconds in which some process of the group
// waited for "cpu", "memory" or "io"; false where the kernel does not measure it.
func (g Groups) Stalled(resource string) (float64, bool) {
	text, ok, err := read(g.unified, resource+".pressure")
	if !ok || err != nil || g.separate() {
		return 0, false
	}
	return parseStalled(text)
}

// Stalled is the same for the whole machine.
func (m Machine) Stalled(resource string) (float64, bool) {
	text, ok, err := read(filepath.Join(m.Proc, "pressure"), resource)
	if !ok || err != nil {
		return 0, false
	}
	return parseStalled(text)
}

// parseStalled reads "some avg10=0.12 …": per cent.
func parseStalled(text string) (float64, bool) {
	for _, word := range strings.Fields(text) {
		if percent, ok := strings.CutPrefix(word, "avg10="); ok {
			f, err := strconv.ParseFloat(percent, 64)
			return f / 100, err == nil
		}
	}
	return 0, false
}

// Available is the machine's memory that can still be used without swapping, and its
// whole memory.
func (m Machine) Available() (available, total int64, err error) {
	text, ok, err := read(m.Proc, "meminfo")
	if err != nil || !ok {
		return 0, 0, errors.Join(err, errors.New("read meminfo"))
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "MemAvailable:":
			available, err = strconv.ParseInt(words[1], 10, 64)
		case "MemTotal:":
			total, err = strconv.ParseInt(words[1], 10, 64)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("read meminfo: %w", err)
		}
	}
	return available << 10, total << 10, nil
}

// upwards calls f for the group's folder of a controller and all above it that are
// mounted.
func (g Groups) upwards(controller string, f func(folder string) error) error {
	folder := g.folder(controller)
	for folder != "" {
		if err := f(folder); err != nil {
			return err
		}
		if g.tops[folder] || folder == filepath.Dir(folder) {
			break
		}
		folder = filepath.Dir(folder)
	}
	return nil
}

// read reads a group's file; false when there is none, because the controller is not
// in use there.
func read(folder, file string) (string, bool, error) {
	if folder == "" {
		return "", false, nil
	}
	text, err := os.ReadFile(filepath.Join(folder, file))
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read a control group: %w", err)
	}
	return strings.TrimSpace(string(text)), true, nil
}

// number reads a file that holds one number; false also for "max".
func number(folder, file string) (int64, bool, error) {
	text, ok, err := read(folder, file)
	if !ok || err != nil || text == "max" {
		return 0, false, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("read %s: %w", filepath.Join(folder, file), err)
	}
	return n, true, nil
}

// field reads one number of a file with a name and a number on each line.
func field(folder, file, name string) (int64, bool, error) {
	text, ok, err := read(folder, file)
	if !ok || err != nil {
		return 0, false, err
	}
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == name {
			n, err := strconv.ParseInt(words[1], 10, 64)
			return n, err == nil, err
		}
	}
	return 0, false, nil
}
