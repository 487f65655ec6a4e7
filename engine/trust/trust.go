// Package trust decides whether a plugin's binary may start. A plugin acts with the
// rights of whoever runs faultline, so that nothing starts because it lies in the right
// folder under the right name: its checksum must be known. It is known from the build
// (faultline's own plugins), or from the scenario's lock file. Two ways go past that,
// both loud: a folder that the user's configuration overrides while a plugin is
// developed, and -insecure. A process that runs already is not checked, either. An
// environment's policy can forbid any of it.
//
// The package is pure: it compares what it is given.
package trust

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Basis is on what ground a plugin was started. It stands in journals and reports.
type Basis string

const (
	BuiltIn  Basis = "builtin"  // built with this faultline, whose binary has its checksum
	Locked   Basis = "locked"   // the lock file has its checksum
	Override Basis = "override" // its folder is in dev_overrides: not checked
	Insecure Basis = "insecure" // nothing vouches for it, and -insecure was given
	Attached Basis = "attached" // it ran already, and FAULTLINE_REATTACH named its process
)

// Bases are all of them.
func Bases() []Basis { return []Basis{BuiltIn, Locked, Override, Insecure, Attached} }

// Checked says whether a checksum was compared.
func (b Basis) Checked() bool { return b == BuiltIn || b == Locked }

// Binary is what is about to be started. Sum is the SHA-256, in hexadecimal, of the very
// content that will be executed.
type Binary struct {
	Name, Path, Sum string
	Attached        bool // it runs already: there is a name, and nothing to compare
}

// Rules are what is known and allowed. The zero value lets nothing start.
type Rules struct {
	BuiltIn   map[string]string   // plugin → checksum, as [ParseSums] reads them
	Locked    map[string][]string // plugin → checksums, those of every platform
	LockFile  string              // where Locked is from, for messages; may be empty
	Overrides map[string]string   // plugin → folder
	Insecure  bool
}

// Decide says on what ground a binary may start; the error is a [*Refusal]. A name that
// the lock file has belongs to the lock file: a plugin of this build with the same name
// is another one.
func (r Rules) Decide(b Binary) (Basis, error) {
	if b.Attached {
		return Attached, nil
	}
	if dir, ok := r.Overrides[b.Name]; ok && within(dir, b.Path) {
		return Override, nil
	}
	locked, inLock := r.Locked[b.Name]
	switch {
	case inLock && slices.Contains(locked, b.Sum):
		return Locked, nil
	case !inLock && b.Sum != "" && r.BuiltIn[b.Name] == b.Sum:
		return BuiltIn, nil
	case r.Insecure:
		return Insecure, nil
	}
	refusal := &Refusal{Binary: b}
	refusal.Why, refusal.Do = r.explain(b.Name, inLock)
	return "", refusal
}

func (r Rules) explain(name string, inLock bool) (why, do string) {
	lock := r.LockFile
	if lock == "" {
		lock = "the lock file"
	}
	own, known := r.BuiltIn[name]
	switch {
	case inLock:
		return lock + " has other checksums for it", "`faultline init` installs the version that is locked"
	case known:
		return "the one that was built with this faultline has SHA-256 " + own, "take faultline and its plugins from one build"
	case len(r.BuiltIn) == 0:
		return "this faultline was built without the checksums of its plugins, as `go build` alone does, and " + lock + " does not have it",
			"build both with `make build`"
	default:
		return "it was not built with this faultline, and " + lock + " does not have it",
			"install it with `faultline init`"
	}
}

// within says whether a file is directly in a folder.
func within(dir, path string) bool {
	return dir != "" && filepath.Clean(dir) == filepath.Dir(filepath.Clean(path))
}

// Refusal says why a binary may not start, and what to do.
type Refusal struct {
	Binary
	Why, Do string
}

func (e *Refusal) Error() string {
	return fmt.Sprintf("plugin %s may not start: nothing vouches for %s (SHA-256 %s): %s; %s, or, while you develop it, name its folder under dev_overrides in the CLI configuration; -insecure starts it unchecked, and every report says so",
		e.Name, e.Path, e.Sum, e.Why, e.Do)
}

// Policy says on what grounds the operators of an environment let plugins start there. The
// zero value has no say.
type Policy struct {
	Environment string
	Source      string  // file, for messages
	Grounds     []Basis // empty: all
}

// Allow is for what [Rules.Decide] lets start; the error is a [*Forbidden].
func (p Policy) Allow(plugin string, on Basis) error {
	if len(p.Grounds) == 0 || slices.Contains(p.Grounds, on) {
		return nil
	}
	return &Forbidden{p, plugin, on}
}

// Forbidden says that a policy keeps a plugin from starting, and what to do.
type Forbidden struct {
	Policy
	Plugin string
	On     Basis
}

func (e *Forbidden) Error() string {
	do := "ask those whose policy it is"
	switch e.On {
	case Override:
		do = "take it out of dev_overrides in the CLI configuration, and install it with `faultline init`"
	case Insecure:
		do = "without -insecure it says what would vouch for it"
	case Attached:
		do = "unset FAULTLINE_REATTACH"
	}
	return fmt.Sprintf("plugin %s may not start in environment %s: it would start as %q, and %s has trust = %q; %s", e.Plugin, e.Environment, e.On, e.Source, e.Grounds, do)
}

// Warning is what to tell the user of a plugin that was started unchecked; empty where it
// was checked.
func (b Basis) Warning(x Binary) string {
	switch b {
	case Override:
		return fmt.Sprintf("plugin %s is taken from %s, which dev_overrides of your CLI configuration names: its checksum is not checked", x.Name, filepath.Dir(x.Path))
	case Attached:
		return fmt.Sprintf("plugin %s is a process that runs already, as FAULTLINE_REATTACH says: its program is not checked", x.Name)
	case Insecure:
		return fmt.Sprintf("-insecure: nothing vouches for plugin %s (%s, SHA-256 %s), and it is started all the same", x.Name, x.Path, x.Sum)
	}
	return ""
}

// Note is what a report says of a plugin that was started unchecked; empty where it was
// checked, or where the journal does not know.
func (b Basis) Note(plugin string) string {
	switch b {
	case Override:
		return "plugin " + plugin + " was not checked: it was taken from a folder of dev_overrides"
	case Attached:
		return "plugin " + plugin + " was not checked: it was attached as a process that ran already, in a debugger perhaps"
	case Insecure:
		return "plugin " + plugin + " was not checked: nothing vouched for it, and it was started with -insecure"
	}
	return ""
}

// ParseSums reads "docker:SHA256,http:SHA256": the form in which the build hands the
// checksums of faultline's own plugins to the linker.
func ParseSums(text string) (map[string]string, error) {
	out := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		if part == "" {
			continue
		}
		name, sum, ok := strings.Cut(part, ":")
		if !ok || name == "" || len(sum) != 64 || strings.Trim(sum, "0123456789abcdef") != "" {
			return nil, fmt.Errorf("checksums of the plugins of this build: %q is not NAME:SHA256", part)
		}
		out[name] = sum
	}
	return out, nil
}

// FormatSums is what [ParseSums] reads.
func FormatSums(sums map[string]string) string {
	parts := make([]string, 0, len(sums))
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		parts = append(parts, name+":"+sums[name])
	}
	return strings.Join(parts, ",")
}
