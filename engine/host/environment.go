package host

import (
	"slices"
	"strings"

	"github.com/faultline-go/faultline/sdk/wire"
)

// goPluginVariables are set by go-plugin for a plugin; inherited ones would be those
// of a program that runs faultline as its own plugin.
var goPluginVariables = []string{
	"PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_CLIENT_CERT",
	"PLUGIN_UNIX_SOCKET_DIR", "PLUGIN_UNIX_SOCKET_GROUP", "PLUGIN_MULTIPLEX_GRPC", wire.CookieKey,
}

// environment is what a plugin inherits: everything but go-plugin's variables and
// faultline's own. A scenario refers to secrets and settings by the names of
// environment variables (DOCKER_HOST, KUBECONFIG, any token), which the plugin
// reads, so that a list of allowed names would always lack one. FAULTLINE_VAR_x are
// the scenario's variables, sensitive ones among them, and are not a plugin's to
// see. FAULTLINE_STATE_DIR stays: a command of a scenario may call faultline.
func environment(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(goPluginVariables, name) ||
			strings.HasPrefix(name, "FAULTLINE_") && name != "FAULTLINE_STATE_DIR"
	})
}
