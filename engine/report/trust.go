package report

import (
	"slices"

	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/trust"
)

// unchecked lists the plugins that were started although nothing vouched for them: a
// reader must know before anything else that is said.
func unchecked(r *judge.Result) []string {
	var out []string
	for _, p := range r.Run.Plugins {
		if note := p.Trust.Note(p.Name); note != "" {
			out = append(out, capital(note)+".")
		}
	}
	return out
}

// otherWarnings are those that unchecked does not say already.
func otherWarnings(r *judge.Result) []judge.Warning {
	said := map[string]bool{}
	for _, p := range r.Run.Plugins {
		said[p.Trust.Note(p.Name)] = true
	}
	return slices.DeleteFunc(slices.Clone(r.Warnings), func(w judge.Warning) bool { return said[w.Text] })
}

// checkedAgainst says what vouched for a plugin.
func checkedAgainst(b trust.Basis) string {
	switch b {
	case trust.BuiltIn:
		return "this build of faultline"
	case trust.Locked:
		return "the lock file"
	case trust.Override:
		return "nothing (dev_overrides)"
	case trust.Attached:
		return "nothing (attached)"
	case trust.Insecure:
		return "nothing (-insecure)"
	}
	return "unknown"
}
