package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hostile is what a repository may say of programs: each %[1]s is one that leaves a file
// behind. A filter stands in a file that is included, too.
const hostile = `
[core]
	fsmonitor = %[1]s fsmonitor
	sshCommand = %[1]s ssh
	pager = %[1]s pager
	editor = %[1]s editor
	askPass = %[1]s
	hooksPath = %[2]s
	alternateRefsCommand = %[1]s refs
[diff]
	external = %[1]s external
[diff "evil"]
	command = %[1]s command
	textconv = %[1]s textconv
[merge "evil"]
	driver = %[1]s driver
[gpg]
	program = %[1]s
[log]
	showSignature = true
[alias]
	config = !%[1]s alias
	rev-parse = !%[1]s alias
	status = !%[1]s alias
[credential]
	helper = !%[1]s credential
[filter "clean"]
	clean = %[1]s clean
	required
[filter "process"]
	process = %[1]s process
	required = true
[include]
	path = more
`

// repository is one with a scenario, and a hostile configuration whose programs write to
// the file ran.
func repository(t *testing.T, attributes string) (dir, ran string, git func(args ...string)) {
	t.Helper()
	dir, ran = t.TempDir(), filepath.Join(t.TempDir(), "ran")
	git = func(args ...string) {
		t.Helper()
		c := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	write := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	git("init", "-q")
	file := write("scenario.hcl", "# a scenario\n", 0o600)
	write(".gitattributes", attributes, 0o600)
	git("add", ".")
	git("commit", "-q", "-m", "a scenario")
	evil := write(".git/evil", "#!/bin/sh\necho \"$@\" >>"+ran+"\ncat\n", 0o700)
	for _, hook := range []string{"post-index-change", "post-checkout", "reference-transaction"} {
		write(".git/evil-hooks/"+hook, "#!/bin/sh\necho hook >>"+ran+"\n", 0o700)
	}
	write(".git/more", "[filter \"included\"]\n\tclean = "+evil+" included\n", 0o600)
	config, err := os.OpenFile(filepath.Join(dir, ".git", "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer config.Close()
	if _, err := fmt.Fprintf(config, hostile, evil, filepath.Join(dir, ".git", "evil-hooks")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, time.Now(), time.Unix(1, 0)); err != nil { // contents are to be compared
		t.Fatal(err)
	}
	return dir, ran, git
}

// A scenario's repository that came with a .git of somebody's making is looked at by plan,
// and may not run anything for that.
func TestGitCommitRunsNothing(t *testing.T) {
	for _, c := range []struct {
		name       string
		attributes string
		runs       string // what git itself would run
	}{
		{name: "a monitor and a hook", attributes: "* diff=evil merge=evil\n", runs: "hook"},
		{name: "a filter", attributes: "* filter=clean diff=evil\n", runs: "clean"},
		{name: "a filter that stays", attributes: "* filter=process\n", runs: "process"},
		{name: "a filter of an included file", attributes: "* filter=included\n", runs: "included"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, ran, _ := repository(t, c.attributes)
			if commit := gitCommit(t.Context(), dir); len(commit) != 40 {
				t.Errorf("the commit is %q", commit)
			}
			if what, err := os.ReadFile(ran); err == nil {
				t.Errorf("programs of the repository's were run:\n%s", what)
			}
			// The proof that they would have been; one that does not know what git asks of it
			// fails the command.
			_ = exec.CommandContext(t.Context(), "git", "-C", dir, "status", "--porcelain").Run()
			if what, _ := os.ReadFile(ran); !strings.Contains(string(what), c.runs) {
				t.Errorf("the test proves nothing: %q was run", what)
			}
		})
	}
}

func TestGitCommit(t *testing.T) {
	dir, _, git := repository(t, "* filter=clean\n")
	file := filepath.Join(dir, "scenario.hcl")
	if commit := gitCommit(t.Context(), file); len(commit) != 40 || strings.HasSuffix(commit, "-dirty") {
		t.Errorf("the commit is %q", commit)
	}
	if err := os.WriteFile(file, []byte("# another\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if commit := gitCommit(t.Context(), file); len(commit) != 46 || !strings.HasSuffix(commit, "-dirty") {
		t.Errorf("the commit of what was changed is %q", commit)
	}
	// A filter that cannot be switched off: nothing is said, and nothing run.
	git("config", "filter.a=b.clean", "touch "+filepath.Join(dir, "x"))
	if commit := gitCommit(t.Context(), file); commit != "" {
		t.Errorf("with a filter that stays on the commit is %q", commit)
	}
	if commit := gitCommit(t.Context(), t.TempDir()); commit != "" {
		t.Errorf("the commit of no repository is %q", commit)
	}
}
