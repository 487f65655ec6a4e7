package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A scenario's repository that came with a .git of somebody's making is looked at by plan,
// and may not run anything for that.
func TestGitCommitRunsNothing(t *testing.T) {
	dir, ran := t.TempDir(), filepath.Join(t.TempDir(), "ran")
	evil := filepath.Join(dir, ".git", "hooks", "post-index-change")
	file := filepath.Join(dir, "scenario.hcl")
	git := func(args ...string) {
		t.Helper()
		c := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git("init", "-q")
	if err := os.WriteFile(file, []byte("# a scenario\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	git("add", ".")
	git("commit", "-q", "-m", "a scenario")
	if err := os.MkdirAll(filepath.Dir(evil), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(evil, []byte("#!/bin/sh\necho ran >>"+ran+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	git("config", "core.fsmonitor", evil)
	if err := os.Chtimes(file, time.Now(), time.Unix(1, 0)); err != nil { // the index is to be refreshed
		t.Fatal(err)
	}
	if commit := gitCommit(t.Context(), dir); len(commit) != 40 || strings.HasSuffix(commit, "-dirty") {
		t.Errorf("the commit is %q", commit)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a program of the repository's was run")
	}
	git("status", "--porcelain") // the proof that it would have run
	if _, err := os.Stat(ran); err != nil {
		t.Errorf("the test proves nothing: %v", err)
	}
}
