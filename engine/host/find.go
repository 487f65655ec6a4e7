package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/agext/levenshtein"

	"github.com/faultline-go/faultline/sdk/schema"
)

// Prefix begins the name of every plugin's binary.
const Prefix = schema.BinaryPrefix

var localName = regexp.MustCompile(`^[a-z0-9]+$`)

// NotFoundError says that no folder has a plugin.
type NotFoundError struct {
	Name    string
	Looked  []string // folders, in order
	Have    []string // names of the plugins that they do have
	Similar string   // the one of Have that was perhaps meant
}

func (e *NotFoundError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plugin %q not found", e.Name)
	if e.Similar != "" {
		fmt.Fprintf(&b, ", did you mean %q?", e.Similar)
	}
	if len(e.Looked) == 0 {
		b.WriteString(": there is no folder to look in; name one with -plugin-dir")
		return b.String()
	}
	fmt.Fprintf(&b, ": %s%s is not in %s", Prefix, e.Name, strings.Join(e.Looked, ", "))
	if len(e.Have) > 0 {
		fmt.Fprintf(&b, " (plugins there: %s)", strings.Join(e.Have, ", "))
	} else {
		b.WriteString(" (no plugins there)")
	}
	b.WriteString("; faultline's own lie beside it, others are installed by `faultline init` from the source in their plugin block, or found by dev_overrides in the CLI configuration while you develop them")
	return b.String()
}

// Find returns the path of a plugin's binary. The first folder that has the name
// decides: a file there that cannot be run is an error, not a reason to run another.
func (h *Host) Find(name string) (string, error) {
	if !localName.MatchString(name) {
		return "", fmt.Errorf("plugin name %q: use lower-case letters and digits only", name)
	}
	for _, path := range h.candidates(name) {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && path == h.opts.Installed[name]:
			return "", fmt.Errorf("plugin %s: it should be %s, and there is no such file; run `faultline init`, or build it there if dev_overrides names the folder", name, path)
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return "", fmt.Errorf("look for plugin %s: %w", name, err)
		case info.IsDir():
			return "", fmt.Errorf("plugin %s: %s is a folder; put the plugin's binary in its place, or its folder into -plugin-dir", name, path)
		case !info.Mode().IsRegular():
			return "", fmt.Errorf("plugin %s: %s is no file", name, path)
		case info.Mode().Perm()&0o111 == 0:
			return "", fmt.Errorf("plugin %s: %s is not executable; run: chmod +x %s", name, path, path)
		}
		return path, nil
	}
	e := &NotFoundError{Name: name, Looked: h.dirs()}
	for _, f := range h.found() {
		e.Have = append(e.Have, f.name)
	}
	e.Similar = similar(name, e.Have)
	return "", e
}

// candidates lists where a plugin's binary may be, the first one first.
func (h *Host) candidates(name string) []string {
	var out []string
	for _, dir := range absolute(h.opts.PluginDirs) {
		out = append(out, filepath.Join(dir, Prefix+name))
	}
	if path := h.opts.Installed[name]; path != "" {
		out = append(out, path)
	}
	for _, dir := range absolute(append([]string{h.opts.SelfDir}, h.opts.DataDirs...)) {
		out = append(out, filepath.Join(dir, Prefix+name))
	}
	return out
}

// dirs lists the folders to look in, each once.
func (h *Host) dirs() []string {
	return absolute(slices.Concat(h.opts.PluginDirs, []string{h.opts.SelfDir}, h.opts.DataDirs))
}

func absolute(dirs []string) []string {
	var out []string
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		if abs, err := filepath.Abs(dir); err == nil {
			dir = abs
		}
		if !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	return out
}

type foundFile struct{ name, path string }

// found lists what is called like a plugin in any of the folders, and what is installed,
// by name; of several with the same name one (whoever needs the path asks Find).
func (h *Host) found() []foundFile {
	var out []foundFile
	for name, path := range h.opts.Installed {
		out = append(out, foundFile{name, path})
	}
	for _, dir := range h.dirs() {
		entries, _ := os.ReadDir(dir) // a folder that is not there has no plugins
		for _, e := range entries {
			name, ok := strings.CutPrefix(e.Name(), Prefix)
			if !ok || !localName.MatchString(name) {
				continue
			}
			if !slices.ContainsFunc(out, func(f foundFile) bool { return f.name == name }) {
				out = append(out, foundFile{name, filepath.Join(dir, e.Name())})
			}
		}
	}
	slices.SortFunc(out, func(a, b foundFile) int { return strings.Compare(a.name, b.name) })
	return out
}

// similar returns the name that a mistyped one was perhaps meant to be, or "".
func similar(name string, have []string) string {
	best, at := "", 1+max(1, len(name)/3)
	for _, other := range have {
		if d := levenshtein.Distance(name, other, nil); d < at {
			best, at = other, d
		}
	}
	return best
}
