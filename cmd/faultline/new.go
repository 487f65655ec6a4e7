package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/experiments"
)

func newNew(g *global) *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "new FOLDER",
		Short: "Write a commented starter scenario into a new folder",
		Long: `new writes FOLDER/FOLDER.hcl: a game day with a probe, a steady state, a target and
one experiment, which needs only its variables set to run and to conclude. With -from
it writes one that uses an experiment of the catalogue: ` + "`faultline catalog`" + ` lists them.
A file that exists is never overwritten.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			whole, err := filepath.Abs(args[0]) // "." has a name, too
			if err != nil {
				return fmt.Errorf("make folder: %w", err)
			}
			name := filepath.Base(whole)
			path := filepath.Join(args[0], name+".hcl")
			text := scenario.Starter(name)
			if from != "" {
				var err error
				if text, err = experiments.Example(from); err != nil {
					return err
				}
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("make folder: %w", err)
			}
			f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s exists already: choose another folder", path)
			}
			if err != nil {
				return fmt.Errorf("write scenario: %w", err)
			}
			_, err = f.Write(text)
			if e := f.Close(); err == nil {
				err = e
			}
			if err != nil {
				return fmt.Errorf("write scenario: %w", err)
			}
			fmt.Fprintf(c.OutOrStdout(), "Wrote %s. Set its variables, then:\n  faultline validate %s\n  faultline plan %s\n  faultline run %s\n", path, args[0], args[0], args[0])
			return nil
		},
	}
	c.Flags().StringVar(&from, "from", "", "an experiment of the catalogue to start from")
	_ = c.RegisterFlagCompletionFunc("from", func(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return completeEntries(c, nil, prefix)
	})
	return c
}
