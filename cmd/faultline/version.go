package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/sdk/wire"
)

// release is the version; a build may set it with -ldflags -X main.release=….
var release = "0.1.0-dev"

// version is the release, with the commit where the build knows it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return release
	}
	commit, dirty := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = "+" + s.Value[:min(len(s.Value), 12)]
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "-dirty"
			}
		}
	}
	return release + commit + dirty
}

func newVersion() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "version",
		Short: "Say the version, and the formats that it speaks",
		Args:  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := formats(format, "text", "json"); err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(c, map[string]any{
					"version": version(), "journal": journal.Version, "plan": plan.Format, "plugin_protocol": wire.Protocol,
				})
			}
			fmt.Fprintf(c.OutOrStdout(), "faultline %s (journal format %d, plan format %d, plugin protocol %d)\n", version(), journal.Version, plan.Format, wire.Protocol)
			return nil
		},
	}
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}
