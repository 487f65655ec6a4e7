package plugintest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/reference"
)

// Reference checks that the page at path, relative to the test's folder, still says what
// the plugin says of itself. `faultline docs PLUGIN -format markdown` writes it anew.
func Reference(t testing.TB, p sdk.Plugin, path string) {
	t.Helper()
	d, err := sdk.Describe(p)
	if err != nil {
		t.Fatalf("the plugin cannot be described: %v", err)
	}
	var page bytes.Buffer
	if err := reference.Page(&page, d); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		t.Errorf("there is no page %s: write it with `faultline docs %s -format markdown`", path, d.Name)
	case err != nil:
		t.Fatal(err)
	case !bytes.Equal(got, page.Bytes()):
		t.Errorf("the page %s is of another version of the plugin: write it anew with `faultline docs %s -format markdown`", path, d.Name)
	}
}
