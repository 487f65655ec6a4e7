package plugintest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
	"github.com/faultline-go/faultline/sdk/reference"
)

// complaints counts what a check finds wrong, in place of failing the test.
type complaints struct {
	testing.TB
	n int
}

func (c *complaints) Errorf(string, ...any) { c.n++ }

func TestReference(t *testing.T) {
	d, err := sdk.Describe(sleeper())
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := reference.Page(&page, d); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	good, old := filepath.Join(dir, "good.md"), filepath.Join(dir, "old.md")
	if err := os.WriteFile(good, page.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old, page.Bytes()[1:], 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{good: 0, old: 1, filepath.Join(dir, "none.md"): 1} {
		c := &complaints{TB: t}
		plugintest.Reference(c, sleeper(), path)
		if c.n != want {
			t.Errorf("%s: %d complaints, want %d", filepath.Base(path), c.n, want)
		}
	}
}
