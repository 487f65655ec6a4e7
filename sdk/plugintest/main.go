package plugintest

import (
	"fmt"
	"os"

	"github.com/faultline-go/faultline/sdk"
)

// playEnv names the plugin that the test binary plays instead of testing.
const playEnv = "FAULTLINE_PLUGINTEST_PLAYS"

// registered are the plugins that this test binary can play.
var registered = map[string]bool{}

// Main belongs into the TestMain of a plugin whose faults go through Fault:
//
//	func TestMain(m *testing.M) { plugintest.Main(m, plugin()) }
//
// The kit kills real plugin processes. They are this test binary, which Main makes
// serve the plugin when the kit starts it as one. Main does not return.
func Main(m interface{ Run() int }, plugins ...sdk.Plugin) {
	for _, p := range plugins {
		if os.Getenv(playEnv) == p.Name {
			if socket := os.Getenv(countEnv); socket != "" {
				if err := answerCounter(socket); err != nil {
					fmt.Fprintln(os.Stderr, "answer the counter:", err)
					os.Exit(1)
				}
			}
			sdk.Serve(p)
		}
		registered[p.Name] = true
	}
	if name := os.Getenv(playEnv); name != "" {
		fmt.Fprintf(os.Stderr, "this test binary has no plugin %q\n", name)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
