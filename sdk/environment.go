package sdk

import (
	"fmt"
	"os"
)

// Env reads an environment variable that a scenario refers to by name, as it does to a
// secret. A plugin inherits only what the scenario's `plugin` block names, so that the
// error of a variable that is not there says what to write, and where.
func Env(plugin, name string) (string, error) {
	value, ok := os.LookupEnv(name)
	if !ok {
		return "", fmt.Errorf("environment variable %s is not there: set it where faultline runs, and let the plugin inherit it: plugin %q { environment = [%q] }", name, plugin, name)
	}
	return value, nil
}
