// Package plugintest is what a plugin's own tests import: the check of what the
// machine offers, and the conformance kit that runs a fault through its life.
package plugintest

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// RequireEnv names the environment variable that lists, separated by commas,
// the facilities that must be there: a test that needs one of them then fails
// where it would otherwise be skipped.
const RequireEnv = "FAULTLINE_REQUIRE"

// Need makes sure that a facility of the machine (a Docker engine, a server, a
// kernel feature) is there before a test goes on. check looks at the machine and
// returns nil, or why the facility is missing. A missing facility skips the test
// with that reason; it fails the test when FAULTLINE_REQUIRE names the facility,
// so that CI never skips in silence.
func Need(t testing.TB, facility string, check func() error) {
	t.Helper()
	err := check()
	if err == nil {
		return
	}
	required := strings.FieldsFunc(os.Getenv(RequireEnv), func(r rune) bool { return r == ',' || r == ' ' })
	if slices.Contains(required, facility) {
		t.Fatalf("%s is required by %s and missing: %v", facility, RequireEnv, err)
	}
	t.Skipf("needs %s: %v", facility, err)
}
