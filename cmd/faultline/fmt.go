package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/durable"
	"github.com/faultline-go/faultline/engine/scenario"
)

func newFmt(g *global) *cobra.Command {
	var check bool
	c := &cobra.Command{
		Use:   "fmt [PATH ...]",
		Short: "Rewrite scenario files in the usual form",
		Long: `fmt rewrites the *.hcl files of each PATH, a folder or a file (default: the current
folder), in the usual form, and lists those that it changed. With PATH "-" it reads
standard input and writes standard output.`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"."}
			}
			if len(args) == 1 && args[0] == "-" {
				src, err := io.ReadAll(g.process.stdin)
				if err != nil {
					return fmt.Errorf("read standard input: %w", err)
				}
				out, err := g.format("standard input", src)
				switch {
				case err != nil:
					return err
				case check && !bytes.Equal(src, out):
					return exit(1)
				case check:
					return nil
				}
				_, err = c.OutOrStdout().Write(out)
				return err
			}
			changed := false
			for _, path := range args {
				files, err := hclFiles(path)
				if err != nil {
					return err
				}
				for _, f := range files {
					did, err := g.formatFile(f, check)
					if err != nil {
						return err
					}
					if did {
						changed = true
						fmt.Fprintln(c.OutOrStdout(), f)
					}
				}
			}
			if check && changed {
				return exit(1)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&check, "check", false, "change nothing; exit with 1 when a file is not in the usual form")
	return c
}

// hclFiles lists the scenario files of a folder, or the one file.
func hclFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("format: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	return filepath.Glob(filepath.Join(path, "*.hcl"))
}

// format shows what is wrong with a text that cannot be parsed.
func (g *global) format(path string, src []byte) ([]byte, error) {
	out, diags := scenario.Format(path, src)
	if diags.HasErrors() {
		if err := diags.Write(g.process.stderr, g.process.width(), g.errorColor()); err != nil {
			return nil, err
		}
		return nil, exit(exitUsage)
	}
	return out, nil
}

// formatFile says whether the file was, or with check would be, changed. The file
// keeps its mode, and is replaced whole.
func (g *global) formatFile(path string, check bool) (changed bool, err error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("format: %w", err)
	}
	out, err := g.format(path, src)
	if err != nil {
		return false, err
	}
	if bytes.Equal(src, out) || check {
		return !bytes.Equal(src, out), nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return false, fmt.Errorf("format: %w", err)
	}
	if err := durable.WriteFile(path, out, info.Mode().Perm()); err != nil {
		return false, fmt.Errorf("format %s: %w", path, err)
	}
	return true, nil
}
