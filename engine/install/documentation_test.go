package install

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var fenced = regexp.MustCompile("(?ms)^```hcl\n(.*?)^```")

// Every HCL snippet of docs/install.md is a configuration, a lock file or a plugin block
// of a scenario, and right.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range fenced.FindAllSubmatchIndex(text, -1) {
		snippet := text[m[2]:m[3]]
		at := fmt.Sprintf("docs/install.md:%d", 1+strings.Count(string(text[:m[2]]), "\n"))
		kind, err := "configuration", error(nil)
		switch {
		case strings.HasPrefix(string(snippet), "format"):
			kind = "lock file"
			_, err = ParseLock(at, snippet)
		case strings.HasPrefix(string(snippet), "plugin"): // engine/scenario reads it
			kind = "scenario"
		default:
			_, err = ParseConfig(at, snippet)
		}
		if err != nil {
			t.Errorf("the %s at %s: %v", kind, at, err)
		}
		seen[kind] = true
	}
	if len(seen) != 3 {
		t.Errorf("found %v", seen)
	}
}
