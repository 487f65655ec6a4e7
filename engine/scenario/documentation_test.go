package scenario

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

var fenced = regexp.MustCompile("(?ms)^[ \t]*```hcl[^\n]*\n(.*?)^[ \t]*```")

// TestDocumentation parses every HCL snippet of the documentation, and loads those
// that are whole scenarios. Variables without a default get a value.
func TestDocumentation(t *testing.T) {
	root := filepath.Join("..", "..")
	files := []string{filepath.Join(root, "README.md")}
	_ = filepath.WalkDir(filepath.Join(root, "docs"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && strings.HasSuffix(path, ".md") {
			files = append(files, path)
		}
		return nil
	})
	for _, file := range files {
		text, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fenced.FindAllSubmatchIndex(text, -1) {
			snippet := string(text[m[2]:m[3]])
			line := 1 + strings.Count(string(text[:m[2]]), "\n")
			checkSnippet(t, file, line, snippet)
		}
	}
}

func checkSnippet(t *testing.T, file string, line int, snippet string) {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(snippet), file, hcl.Pos{Line: line, Column: 1})
	if diags.HasErrors() {
		t.Errorf("%s:%d: %v", file, line, diags)
		return
	}
	whole := false
	vars := map[string]string{}
	for _, b := range f.Body.(*hclsyntax.Body).Blocks {
		whole = whole || b.Type == "scenario"
		if b.Type == "variable" && len(b.Labels) == 1 && b.Body.Attributes["default"] == nil {
			vars[b.Labels[0]] = "http://127.0.0.1:1"
		}
	}
	if !whole {
		return
	}
	if _, d := load(file, []*source{{path: file, text: []byte(snippet)}}, Options{Describe: describe, Vars: vars}); d.HasErrors() {
		t.Errorf("%s, the scenario at line %d:\n%v", file, line, d)
	}
}
