//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// slack is how much younger than its pid file a process may seem to be: start times
// are counted in ticks, and file times come from another clock.
const slack = 2 * time.Second

// fromPIDFile finds the process that a pid file names. None is found when the file
// is missing or still empty, when its process is dead, and when its process is
// younger than the file: it then has only inherited the number.
func fromPIDFile(path string) (process, bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return process{}, false, nil
	}
	if err != nil {
		return process{}, false, fmt.Errorf("look at pid file: %w", err)
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return process{}, false, nil
	}
	if err != nil {
		return process{}, false, fmt.Errorf("read pid file: %w", err)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if first == "" {
		return process{}, false, nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 0 {
		return process{}, false, fmt.Errorf("pid file %s: its first line is no process id", path)
	}
	p, ok, err := readProcess(pid)
	if err != nil || !ok || p.dead() {
		return process{}, false, err
	}
	age, err := p.age()
	if err != nil {
		return process{}, false, err
	}
	if age+slack < time.Since(info.ModTime()) {
		return process{}, false, nil
	}
	ok, err = p.fill()
	return p, ok, err
}
