// Package programs gives tests the programs as users have them: faultline, its plugins
// and the shop of the demo, built as `make build` does.
package programs

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/faultline-go/faultline/engine/trust"
	"github.com/faultline-go/faultline/sdk/schema"
)

// BuiltEnv names the environment variable with the folder of programs that were built
// from this very source, as `make build` does. They are then not built anew by each
// test program: to link them takes longer than many a test.
const BuiltEnv = "FAULTLINE_TEST_BIN"

// Put puts programs into a folder: "faultline", "shop" and "faultline-plugin-NAME".
func Put(dir string, names ...string) error {
	if built := os.Getenv(BuiltEnv); built != "" {
		for _, name := range names {
			if err := place(filepath.Join(built, name), filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("take %s from %s: %w", name, BuiltEnv, err)
			}
		}
		return nil
	}
	root, err := module()
	if err != nil {
		return err
	}
	// As the Makefile does: plugins first, then faultline with their checksums.
	plugins, others := map[string]string{}, []string{}
	for _, name := range names {
		plugin, ok := strings.CutPrefix(name, schema.BinaryPrefix)
		if !ok {
			others = append(others, name)
			continue
		}
		if err := build(root, dir, []string{name}, "-buildvcs=false"); err != nil {
			return err
		}
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		plugins[plugin] = fmt.Sprintf("%x", sha256.Sum256(raw))
	}
	if len(others) == 0 {
		return nil
	}
	return build(root, dir, others, "-ldflags=-X main.builtinPlugins="+trust.FormatSums(plugins))
}

// build builds programs into a folder.
func build(root, dir string, names []string, flag string) error {
	args := []string{"build", "-trimpath", flag, "-o", dir + string(filepath.Separator)}
	for _, name := range names {
		args = append(args, "./"+source(name))
	}
	build := exec.Command("go", args...)
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // images are made of them
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", strings.Join(names, ", "), err, bytes.TrimSpace(out))
	}
	for _, name := range names {
		if made := filepath.Base(source(name)); made != name {
			if err := os.Rename(filepath.Join(dir, made), filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// source is the folder of a program in the module.
func source(name string) string {
	if plugin, ok := strings.CutPrefix(name, schema.BinaryPrefix); ok {
		return "plugins/" + plugin
	}
	if name == "shop" {
		return "scenarios/quickstart/shop"
	}
	return "cmd/" + name
}

// module is the folder of go.mod: `go test` runs tests below it.
func module() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", errors.New("there is no go.mod above this folder")
		}
		dir = above
	}
}

// place makes a program stand in a second folder. A symbolic link would not do:
// faultline looks for its plugins where its own file is.
func place(from, to string) error {
	if err := os.Link(from, to); err == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
