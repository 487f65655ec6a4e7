package wire

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestGeneratedCodeIsCurrent(t *testing.T) {
	fresh := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "run", "./generate", "-out", fresh).CombinedOutput(); err != nil {
		t.Fatalf("generate: %v\n%s", err, out)
	}
	committed := filepath.Join("internal", "pb")
	for _, folder := range []string{fresh, committed} {
		files, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) != 2 {
			t.Errorf("%s has %d files, want 2", filepath.Base(folder), len(files))
		}
		for _, f := range files {
			want, err := os.ReadFile(filepath.Join(fresh, f.Name()))
			if err != nil {
				t.Errorf("%s is not made from plugin.proto any more: remove it", f.Name())
				continue
			}
			if got, err := os.ReadFile(filepath.Join(committed, f.Name())); err != nil || !bytes.Equal(got, want) {
				t.Errorf("internal/pb/%s is not what plugin.proto makes (%v): run go generate ./sdk/wire", f.Name(), err)
			}
		}
	}
}
