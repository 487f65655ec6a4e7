package host

import (
	"slices"
	"strings"

	"github.com/faultline-go/faultline/sdk/schema"
)

// base are the variables that every plugin inherits: what programs need to find their
// way about, and nothing that is anybody's secret. A name that ends in "*" stands for all
// that begin so. FAULTLINE_STATE_DIR is a path that commands of a scenario need when they
// call faultline.
var base = []string{
	"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "LC_*", "TZ",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "FAULTLINE_STATE_DIR",
}

// environment is what a plugin inherits of all the variables: the base, and those of
// these names. What may not be inherited is left out whoever names it.
func environment(all, names []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return !inBase(name) && (!slices.Contains(names, name) || schema.CheckVariable(name) != nil)
	})
}

func inBase(name string) bool {
	return slices.ContainsFunc(base, func(b string) bool {
		prefix, many := strings.CutSuffix(b, "*")
		return name == b || many && strings.HasPrefix(name, prefix)
	})
}

// StartOption says how a plugin is started, beside what it is configured with.
type StartOption func(*startOptions)

type startOptions struct{ inherit []string }

// Inherit lets the plugin inherit the variables of these names, beside the base. A
// variable that is not set is none.
func Inherit(names ...string) StartOption {
	return func(o *startOptions) { o.inherit = append(o.inherit, names...) }
}
