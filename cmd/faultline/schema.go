package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/report/schema"
)

func newSchema(_ *global) *cobra.Command {
	var names []string
	long := "schema prints the JSON Schema (draft 2020-12) of what faultline writes for programs:\n"
	for _, s := range schema.All {
		names = append(names, s.Name)
		long += fmt.Sprintf("\n  %-8s %s", s.Name, s.What)
	}
	return &cobra.Command{
		Use:       "schema " + strings.Join(names, "|"),
		Short:     "Print the JSON Schema of a machine format",
		Long:      long,
		ValidArgs: names,
		Args:      arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			s, ok := schema.Named(args[0])
			if !ok {
				return fmt.Errorf("there is no schema %q: use %s", args[0], strings.Join(names, " or "))
			}
			_, err := c.OutOrStdout().Write(s.Text)
			return err
		},
	}
}
