// Package docs_test holds the documentation against the code.
package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"

	"github.com/faultline-go/faultline/sdk/schema"
)

func read(t *testing.T, path ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(append([]string{".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// What the README shows of a plugin is the plugin that tests run.
func TestReadmePlugin(t *testing.T) {
	plugin := read(t, "sdk", "internal", "lamp", "main.go")
	blocks := goBlock.FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(blocks) == 0 {
		t.Fatal("the README shows no plugin")
	}
	for _, b := range blocks {
		if !strings.Contains(plugin, strings.TrimSpace(b[1])) {
			t.Errorf("this code of the README is not in sdk/internal/lamp/main.go:\n%s", b[1])
		}
	}
}

// Every direct dependency has its reason.
func TestDependencies(t *testing.T) {
	reasons := read(t, "docs", "dependencies.md")
	mod, err := modfile.Parse("go.mod", []byte(read(t, "go.mod")), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Require {
		if !r.Indirect && !strings.Contains(reasons, "`"+r.Mod.Path+"`") {
			t.Errorf("docs/dependencies.md does not say what %s is for", r.Mod.Path)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)\)`)

// Every relative link leads somewhere.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("pages %v, %v", pages, err)
	}
	for i, page := range pages {
		pages[i] = "docs/" + page
	}
	for _, doc := range append(pages, "README.md", "docs/decisions/README.md", "docs/plugins/README.md", "contrib/ci/README.md", "sdk/wire/README.md", "examples/plugins/python/README.md") {
		for _, l := range link.FindAllStringSubmatch(read(t, filepath.FromSlash(doc)), -1) {
			if _, err := os.Stat(filepath.Join("..", filepath.Dir(doc), l[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", doc, l[1])
			}
		}
	}
}

// Whether a plugin's page is right its own tests say; that there is one, and that the
// index leads to it, is said here.
func TestEveryPluginHasAPage(t *testing.T) {
	mains, err := filepath.Glob("../plugins/*/main.go")
	if err != nil || len(mains) == 0 {
		t.Fatalf("plugins %v, %v", mains, err)
	}
	index, err := os.ReadFile("plugins/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, main := range mains {
		name := filepath.Base(filepath.Dir(main))
		if _, err := os.Stat(filepath.Join("plugins", name+".md")); err != nil {
			t.Error(err)
		}
		if !strings.Contains(string(index), "["+name+"]("+name+".md)") {
			t.Errorf("the index does not lead to the page of %s", name)
		}
	}
}

// The page on trust says of each capability what the code does.
func TestTrustListsTheCapabilities(t *testing.T) {
	page := read(t, "docs", "trust.md")
	for _, c := range schema.Capabilities() {
		if row := "| `" + string(c) + "` | " + c.Doc() + " |"; !strings.Contains(page, row) {
			t.Errorf("docs/trust.md lacks: %s", row)
		}
	}
}
