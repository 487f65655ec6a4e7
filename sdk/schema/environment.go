package schema

import (
	"fmt"
	"regexp"
	"strings"
)

// EnvVar is an environment variable that a plugin reads.
type EnvVar struct {
	Name string `json:"name"`
	Doc  string `json:"doc"`
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// CheckVariable says why a plugin may not inherit the environment variable of a name.
func CheckVariable(name string) error {
	switch {
	case !variableName.MatchString(name):
		return fmt.Errorf("%q is no name of an environment variable: names are written out, without a value and without *", name)
	case strings.HasPrefix(name, "FAULTLINE_"):
		return fmt.Errorf("%s is faultline's own, and may hold what is not a plugin's to see", name)
	case strings.HasPrefix(name, "PLUGIN_"):
		return fmt.Errorf("variables that begin with PLUGIN_ are set by faultline itself, for every plugin its own, and %s is not inherited", name)
	}
	return nil
}
