package main

import (
	"bytes"
	"os"
	"testing"
)

// The page about formats has them all. That they follow their schemas is tested there, too:
// the validator would come along into each process that is started here.
func TestFormatsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range reportFormats {
		if !bytes.Contains(page, []byte("\n| `"+f.name+"` | ")) {
			t.Errorf("docs/formats.md does not list %s", f.name)
		}
	}
}
