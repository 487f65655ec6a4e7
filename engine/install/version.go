package install

import (
	"fmt"
	"strings"

	"github.com/hashicorp/go-version"

	"github.com/faultline-go/faultline/internal/lazyregexp"
)

// releaseVersion is the one form in which a release has its version: it is part of file
// names, and of what is compared.
var releaseVersion = lazyregexp.New(`^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})(-[0-9A-Za-z]+([.-][0-9A-Za-z]+){0,8})?$`)

// Satisfies says whether a version is what a constraint ("~> 1.2", ">= 1.2, < 2") asks
// for; an empty one asks for any. A pre-release is asked for by its very name only:
// "1.3.0-rc.1".
func Satisfies(constraint, v string) (bool, error) {
	if !releaseVersion().MatchString(v) {
		return false, fmt.Errorf("the version %q is not of the form 1.2.3", v)
	}
	got, err := version.NewSemver(v)
	if err != nil {
		return false, fmt.Errorf("read the version %q: %w", v, err)
	}
	named := false
	if constraint != "" {
		all, err := version.NewConstraint(constraint)
		if err != nil {
			return false, fmt.Errorf("the version constraint %q cannot be read; write it like \"~> 1.2\" or \">= 1.2, < 2\"", constraint)
		}
		if !all.Check(got) {
			return false, nil
		}
		for part := range strings.SplitSeq(constraint, ",") {
			exact, err := version.NewSemver(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(part), "=")))
			named = named || err == nil && exact.Equal(got)
		}
	}
	return named || got.Prerelease() == "", nil
}

// newest is the newest of some versions that a constraint asks for; empty: none is.
func newest(constraint string, offered []string) (string, error) {
	best := ""
	for _, v := range offered {
		ok, err := Satisfies(constraint, v)
		if err != nil {
			return "", err
		}
		if ok && (best == "" || older(best, v)) {
			best = v
		}
	}
	return best, nil
}

// older says whether a release comes before another. Both have the form of one.
func older(a, b string) bool {
	x, err := version.NewSemver(a)
	if err != nil {
		return false
	}
	y, err := version.NewSemver(b)
	return err == nil && x.LessThan(y)
}
