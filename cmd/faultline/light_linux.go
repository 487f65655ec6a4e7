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
// program's code, which come back from the page cache when they are needed. A process
// that sleeps for the length of a game day should cost next to nothing.
func sleepLight() {
	debug.FreeOSMemory()
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return // it is only a courtesy
	}
	defer maps.Close()
	for s := bufio.NewScanner(maps); s.Scan(); {
		// start-end perms offset device inode path
		f := strings.Fields(s.Text())
		if len(f) < 6 || !strings.HasPrefix(f[5], "/") || f[1] != "r-xp" {
			continue
		}
		from, to, ok := strings.Cut(f[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if !ok || err1 != nil || err2 != nil {
			continue
		}
		// Code is never written, so that dropped pages are read again from the file on
		// the next touch. Read-only data is left alone: the loader may have written it
		// before it became read-only.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED)
	}
}
