package install

import (
	"fmt"
	"slices"

	"github.com/faultline-go/faultline/engine/install/sshsig"
)

// Check says why a plugin that a scenario asks for cannot be used as it is locked and
// installed, and what to do. It does not read the binary: whoever starts it compares
// its checksum with Sums.
func (l *Lock) Check(w Want, p Platform) error {
	locked := l.Plugin(w.Source.Name)
	switch {
	case locked == nil:
		return fmt.Errorf("plugin %s (%s) is not installed for this scenario: run `faultline init`", w.Source.Name, w.Source)
	case locked.Sums[p] == "":
		return fmt.Errorf("plugin %s %s is not locked for %s: run `faultline init`", locked.Name, locked.Version, p)
	}
	return locked.satisfies(w)
}

// Installed returns the path of a plugin's binary in the store; empty when it is not
// locked for this platform. It need not be there.
func (l *Lock) Installed(name string, s Store, p Platform) string {
	locked := l.Plugin(name)
	if locked == nil || locked.Sums[p] == "" {
		return ""
	}
	return s.Path(name, locked.Sums[p])
}

// agrees says why what is locked is not what is asked for, or no longer trusted.
func (j *job) agrees(c *SourceConfig) error {
	if err := j.old.satisfies(j.want); err != nil {
		return err
	}
	if c == nil || c.AllowUnsigned {
		return nil
	}
	switch trusted := slices.ContainsFunc(c.Keys, func(k sshsig.Key) bool { return k.ID() == j.old.Key }); {
	case j.old.Key == "":
		return untrusted("%s %s was locked as signed by nobody, and the configuration (%s) names keys; if it is signed now, run `faultline init -upgrade`", j.old.Source, j.old.Version, c.Pos)
	case !trusted:
		return untrusted("%s %s is locked as signed by %s, which the configuration (%s) does not trust; if another key signs it now, run `faultline init -upgrade`", j.old.Source, j.old.Version, j.old.Key, c.Pos)
	}
	return nil
}

// satisfies says why a locked plugin is not what is asked for.
func (p *Locked) satisfies(w Want) error {
	if p.Source != w.Source {
		return fmt.Errorf("plugin %s is locked from %s, and the scenario wants it from %s; to change that, run `faultline init -upgrade`", p.Name, p.Source, w.Source)
	}
	ok, err := Satisfies(w.Constraint, p.Version)
	if err != nil {
		return fmt.Errorf("plugin %s: %w", p.Name, err)
	}
	if !ok {
		return fmt.Errorf("plugin %s is locked with version %s, and the scenario wants %q; to change that, run `faultline init -upgrade`", p.Name, p.Version, w.Constraint)
	}
	return nil
}

// complete says whether nothing has to be fetched for what is locked.
func (j *job) complete() bool {
	for _, p := range j.Platforms {
		if j.old.Sums[p] == "" {
			return false
		}
	}
	sum := j.old.Sums[j.Platform]
	return sum != "" && j.Store.Check(j.old.Name, sum) == nil
}

// frozen says why something would have to be added to the lock file.
func (j *job) frozen() error {
	if j.old == nil {
		return untrusted("%s is not in the lock file, which is not to be changed: run `faultline init` where it may be, and commit what it writes", j.want.Source)
	}
	for _, p := range append([]Platform{j.Platform}, j.Platforms...) {
		if j.old.Sums[p] == "" {
			return untrusted("the lock file, which is not to be changed, has no checksum of %s for %s: run `faultline init -platform %s` where it may be, and commit what it writes", j.want.Source, p, p)
		}
	}
	return nil
}
