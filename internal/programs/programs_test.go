package programs

import (
	"os"
	"path/filepath"
	"testing"
)

func TestBuiltProgramsAreTaken(t *testing.T) {
	built, dir := t.TempDir(), t.TempDir()
	t.Setenv(BuiltEnv, built)
	if err := os.WriteFile(filepath.Join(built, "shop"), []byte("#!"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Put(dir, "shop"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "shop")); string(text) != "#!" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if err := Put(t.TempDir(), "faultline"); err == nil {
		t.Error("a program that is not there was taken")
	}
}

func TestEveryNameHasASource(t *testing.T) {
	t.Chdir("../..")
	for _, name := range []string{"faultline", "shop", "faultline-plugin-http"} {
		if _, err := os.Stat(filepath.Join(source(name), "main.go")); err != nil {
			t.Error(err)
		}
	}
}
