package main

import (
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The README's table has every command, and only commands and flags that there are.
func TestReadmeListsTheCommands(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| command | does |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	root := newRoot(&process{stdout: io.Discard, stderr: io.Discard})
	root.InitDefaultCompletionCmd()

	named := regexp.MustCompile("`((?:plugin )?[a-z]+)[^`]*`")
	listed := map[string]*cobra.Command{}
	for row := range strings.Lines(table) {
		cells := strings.SplitN(row, " | ", 2)
		if len(cells) != 2 {
			t.Fatalf("this is no row: %s", row)
		}
		var here []*cobra.Command
		for _, m := range named.FindAllStringSubmatch(cells[0], -1) {
			c, _, err := root.Find(strings.Fields(m[1]))
			if err != nil || c == root {
				t.Errorf("the README lists %q: %v", m[1], err)
				continue
			}
			listed[strings.TrimPrefix(c.CommandPath(), "faultline ")] = c
			here = append(here, c)
		}
		for _, m := range regexp.MustCompile("`-([a-z-]+)").FindAllStringSubmatch(cells[1], -1) {
			if !slices.ContainsFunc(here, func(c *cobra.Command) bool { return c.Flag(m[1]) != nil }) {
				t.Errorf("the README says of %s that there is -%s", cells[0], m[1])
			}
		}
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		path := strings.TrimPrefix(c.CommandPath(), "faultline ")
		if c != root && !c.Hidden && path != "plugin" && listed[path] == nil {
			t.Errorf("the README does not list `%s`", path)
		}
		if c == root || path == "plugin" {
			for _, sub := range c.Commands() {
				walk(sub)
			}
		}
	}
	walk(root)
	if len(listed) < 20 {
		t.Errorf("only %d commands were found", len(listed))
	}
}
