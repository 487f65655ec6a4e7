package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/faultline-go/faultline/engine/report"
)

// gitHubEnv switches off what a run does by itself under GitHub Actions, when it is "off".
const gitHubEnv = "FAULTLINE_GITHUB"

// onGitHub says whether a run is to do by itself what it does under GitHub Actions.
func (g *global) onGitHub(wanted bool) bool {
	return wanted && g.process.getenv("GITHUB_ACTIONS") == "true" && g.process.getenv(gitHubEnv) != "off"
}

// withoutCommands tells GitHub's runner to take no command from what is printed until
// resume is called: it has texts in it of what is tested, which must not command a job.
func (g *global) withoutCommands() (resume func()) {
	token := rand.Text()
	fmt.Fprintf(g.process.stdout, "::stop-commands::%s\n", token)
	return sync.OnceFunc(func() { fmt.Fprintf(g.process.stdout, "::%s::\n", token) })
}

// gitHub writes annotations and the job's summary at the end of a run under GitHub
// Actions. What cannot be written is a warning: the verdict alone decides the exit code.
func (g *global) gitHub(r record) {
	env := g.process.getenv
	warn := func(err error) {
		if err != nil {
			fmt.Fprintf(g.process.stderr, "Warning: %s\n", err)
		}
	}
	if err := report.GitHub(g.process.stdout, r.Result, r.places); err != nil {
		warn(fmt.Errorf("write annotations: %w", err))
	}
	if path := env("GITHUB_STEP_SUMMARY"); path != "" {
		warn(appendSummary(path, r))
	}
}

// appendSummary adds a run to the summary of a step, which all commands of the step
// share: GitHub shows nothing of one that is too large.
func appendSummary(path string, r record) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("write the step's summary: %w", err)
	}
	defer func() {
		if e := f.Close(); err == nil && e != nil {
			err = fmt.Errorf("write the step's summary: %w", e)
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("write the step's summary: %w", err)
	}
	const between = "\n\n"
	room := report.MarkdownLimit - int(min(info.Size(), report.MarkdownLimit)) - len(between)
	n := &countingWriter{w: f}
	if info.Size() > 0 {
		n.before = between
	}
	if err := report.MarkdownUpTo(n, r.Result, room); err != nil {
		return fmt.Errorf("write the step's summary: %w", err)
	}
	if n.n == 0 {
		return fmt.Errorf("the step's summary is full: `faultline report -format markdown %s` writes the run's", r.Run.ID)
	}
	return nil
}

// countingWriter writes something before the first byte, and counts what follows.
type countingWriter struct {
	w      io.Writer
	before string
	n      int
}

func (c *countingWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.n == 0 && c.before != "" {
		if _, err := io.WriteString(c.w, c.before); err != nil {
			return 0, err
		}
	}
	n, err := c.w.Write(p)
	c.n += n
	return n, err
}

// repositoryRoot is the checkout that a CI job works in; "" outside of one.
func (g *global) repositoryRoot() string {
	for _, name := range []string{"GITHUB_WORKSPACE", "CI_PROJECT_DIR", "WORKSPACE"} { // GitHub, GitLab, Jenkins
		if dir := g.process.getenv(name); filepath.IsAbs(dir) {
			return dir
		}
	}
	return ""
}

// repositoryPath is the path of a scenario's file as a CI server knows it: from the root
// of the repository, with slashes. Outside of a CI job, and of files elsewhere, it is as
// the scenario was named.
func (g *global) repositoryPath(path string) string {
	root := g.repositoryRoot()
	if root == "" {
		return filepath.ToSlash(filepath.Clean(path))
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return filepath.ToSlash(path)
	}
	// A checkout may be reached by a link.
	for _, way := range [][2]string{{root, abs}, {withoutLinks(root), withoutLinks(abs)}} {
		if rel, err := filepath.Rel(way[0], way[1]); err == nil && filepath.IsLocal(rel) {
			return filepath.ToSlash(rel)
		}
	}
	return filepath.ToSlash(filepath.Clean(path))
}

// withoutLinks is a path without links; the path itself when it leads nowhere.
func withoutLinks(path string) string {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	return path
}
