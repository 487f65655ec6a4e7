package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// mount is a mounted hierarchy of control groups.
type mount struct {
	root        string   // the group that is seen at point
	point       string   // where it is mounted
	controllers []string // of a version 1 hierarchy; nil for version 2
}

// mounts lists the hierarchies that this process can see.
func (m Machine) mounts() ([]mount, error) {
	text, err := os.ReadFile(filepath.Join(m.Proc, "self", "mountinfo"))
	if err != nil {
		return nil, fmt.Errorf("find control groups: %w", err)
	}
	return parseMounts(string(text)), nil
}

// parseMounts reads lines such as
//
//	31 28 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
//
// and leaves out all other file systems. See proc_pid_mountinfo(5).
func parseMounts(text string) []mount {
	var out []mount
	for line := range strings.Lines(text) {
		before, after, _ := strings.Cut(line, " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		if len(where) < 5 || len(what) < 3 {
			continue
		}
		found := mount{root: unescape(where[3]), point: unescape(where[4])}
		switch what[0] {
		case "cgroup":
			found.controllers = strings.Split(what[2], ",")
		case "cgroup2":
		default:
			continue
		}
		out = append(out, found)
	}
	return out
}

// unescape undoes what the kernel does to characters that would break the line.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// folder is where a group of the hierarchy is; false when it lies outside of what is
// mounted here, as groups of the host do for a program in a container.
func (m mount) folder(group string) (string, bool) {
	if strings.HasPrefix(group, "/..") {
		return "", false
	}
	rel, err := filepath.Rel(m.root, group)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", false
	}
	return filepath.Join(m.point, rel), true
}
