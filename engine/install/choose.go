package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// choose picks the version: the locked one, or the newest.
func (j *job) choose(ctx context.Context, c *SourceConfig, from Source) (string, error) {
	if j.old != nil && !j.Upgrade {
		return j.old.Version, nil
	}
	a := j.want.Source
	offered, err := from.Versions(ctx, a)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &MissingError{fmt.Sprintf("%s has no plugin %s", c.Place(), a)}
	}
	if err != nil {
		return "", fmt.Errorf("look for versions of %s: %w", a, err)
	}
	best, err := newest(j.want.Constraint, offered)
	switch {
	case err != nil:
		return "", fmt.Errorf("plugin %s: %w", a.Name, err)
	case best == "":
		return "", &MissingError{fmt.Sprintf("%s has no version of %s that satisfies %q; it has %s", c.Place(), a, j.want.Constraint, some(offered))}
	}
	// Whoever hides the newer versions may know what is wrong with the older one.
	if j.old != nil && j.old.satisfies(j.want) == nil && older(best, j.old.Version) {
		return "", untrusted("%s has nothing newer than %s %s, and %s is locked: it would be a downgrade; if you want it, write version = %q", c.Place(), a, best, j.old.Version, "= "+best)
	}
	return best, nil
}

// some lists versions, the newest first, but not hundreds.
func some(versions []string) string {
	if len(versions) == 0 {
		return "none"
	}
	slices.SortFunc(versions, func(a, b string) int {
		switch {
		case older(a, b):
			return 1
		case older(b, a):
			return -1
		}
		return 0
	})
	text := ""
	for i, v := range versions {
		if i == 10 {
			return text + fmt.Sprintf(" and %d more", len(versions)-i)
		}
		if i > 0 {
			text += ", "
		}
		text += v
	}
	return text
}
