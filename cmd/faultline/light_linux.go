package main

import (
	"bufio"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// sleepLight gives back the memory that starting took: the heap, and the pages of the
// program, which come back from the page cache when they are needed. A process that
// sleeps for the length of a game day should cost next to nothing.
func sleepLight() {
	debug.FreeOSMemory()
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return // it is only a courtesy
	}
	defer maps.Close()
	// Code is never written, so that dropped pages are read again from the file on the
	// next touch. The same is true of read-only data, unless a loader has written it
	// before it became read-only.
	unwritten := map[string]bool{"r-xp": true, "r--p": static()}
	for s := bufio.NewScanner(maps); s.Scan(); {
		// start-end perms offset device inode path
		f := strings.Fields(s.Text())
		if len(f) < 6 || !strings.HasPrefix(f[5], "/") || !unwritten[f[1]] {
			continue
		}
		from, to, ok := strings.Cut(f[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if !ok || err1 != nil || err2 != nil {
			continue
		}
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED)
	}
}

// static says whether the kernel alone has loaded this program.
func static() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	is := map[string]string{}
	for _, s := range info.Settings {
		is[s.Key] = s.Value
	}
	return is["CGO_ENABLED"] == "0" && is["-buildmode"] == "exe"
}
