// Package scaffold writes the beginning of a plugin: a folder that compiles, with a fault,
// a probe, a kind of target, a test that puts the fault through the conformance kit, and a
// game day that uses it.
//
// What it writes is the package plugin beside it, which is compiled and tested here, with
// another name.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/faultline-go/faultline/sdk/schema"
)

//go:embed plugin files
var templates embed.FS

// Options of a new plugin.
type Options struct {
	// Name is the plugin's local name, [a-z0-9]+ and no Go word that the templates use.
	Name string
	// Module is the path of its Go module; empty: faultline-plugin-<name>.
	Module string
	// SDK is the version of faultline that it needs, such as v0.1.0.
	SDK string
	// Checkout is a folder of faultline's source to use in place of a published version;
	// empty: none.
	Checkout string
	// Go is the version of the language, such as 1.26.
	Go string
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9]*$`)

// original is the name that the templates have.
const original = "acme"

// Write makes the folder dir, which must not be there or be empty, and returns the paths
// of what it wrote, below it.
func Write(dir string, o Options) ([]string, error) {
	if !nameForm.MatchString(o.Name) {
		return nil, fmt.Errorf("plugin name %q: use lower-case letters and digits, and begin with a letter", o.Name)
	}
	if o.Module == "" {
		o.Module = schema.BinaryPrefix + o.Name
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty: choose another folder", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("make the plugin's folder: %w", err)
	}
	files := map[string][]byte{"go.mod": o.goMod()}
	err := fs.WalkDir(templates, ".", func(from string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := templates.ReadFile(from)
		files[target(path.Base(from))] = bytes.ReplaceAll(text, []byte(original), []byte(o.Name))
		return err
	})
	if err != nil {
		return nil, err
	}
	var written []string
	for name, text := range files {
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			return nil, fmt.Errorf("make the plugin's folder: %w", err)
		}
		if err := os.WriteFile(to, text, 0o666); err != nil {
			return nil, fmt.Errorf("write the plugin: %w", err)
		}
		written = append(written, name)
	}
	slices.Sort(written)
	return written, nil
}

// target is where a template goes: some may not have their own names here.
func target(name string) string {
	switch name {
	case "gitignore":
		return ".gitignore"
	case "ci.yml", "release.yml":
		return ".github/workflows/" + name
	case "day.hcl":
		return "day/day.hcl"
	case "one.md", "two.md":
		return "day/rooms/" + strings.TrimSuffix(name, ".md") + "/README.md"
	}
	return name
}

func (o Options) goMod() []byte {
	const faultline = "github.com/faultline-go/faultline"
	var b bytes.Buffer
	fmt.Fprintf(&b, "module %s\n\ngo %s\n\nrequire %s %s\n", o.Module, o.Go, faultline, o.SDK)
	if o.Checkout != "" {
		fmt.Fprintf(&b, "\nreplace %s => %s\n", faultline, o.Checkout)
	}
	return b.Bytes()
}
