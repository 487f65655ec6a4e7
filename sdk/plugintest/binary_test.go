package plugintest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// A plugin that the kit knows only as a program, as one in another language.
func TestAProgramKeepsEveryPromise(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "faultline-plugin-lamp")
	build := exec.Command("go", "build", "-o", binary, "../internal/lamp")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	plugintest.Fault(t, plugintest.Case{
		Binary: binary, Type: "lamp_off",
		Target: func(t testing.TB) sdk.Candidate {
			path := filepath.Join(t.TempDir(), "lamp")
			if err := os.WriteFile(path, []byte("shining"), 0o600); err != nil {
				t.Fatal(err)
			}
			return sdk.Candidate{ID: path, Name: "lamp"}
		},
		Bitten: func(lamp sdk.Candidate) (bool, error) {
			_, err := os.Stat(lamp.ID)
			return os.IsNotExist(err), nil
		},
		Destroy: func(t testing.TB, lamp sdk.Candidate) {
			if err := os.RemoveAll(filepath.Dir(lamp.ID)); err != nil {
				t.Fatal(err)
			}
		},
	})
}
