package scaffold

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	yaml "github.com/zclconf/go-cty-yaml"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/faultline-go/faultline/internal/programs"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// step is a step of a workflow.
type step struct{ Name, Uses, Run string }

// steps reads the workflow of a release.
func steps(t *testing.T) []step {
	t.Helper()
	text, err := templates.ReadFile("files/release.yml")
	if err != nil {
		t.Fatal(err)
	}
	typ, err := yaml.ImpliedType(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := yaml.Unmarshal(text, typ)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := ctyjson.Marshal(v, typ)
	if err != nil {
		t.Fatal(err)
	}
	var flow struct {
		Jobs struct{ Release struct{ Steps []step } }
	}
	if err := json.Unmarshal(raw, &flow); err != nil {
		t.Fatal(err)
	}
	return flow.Jobs.Release.Steps
}

// Two releases, by the very commands of the workflow: both are on the branch that is
// served, and signed.
func TestReleases(t *testing.T) {
	for _, program := range []string{"ssh-keygen", "git"} {
		plugintest.Need(t, program, func() error { _, err := exec.LookPath(program); return err })
	}
	dir, _ := newPlugin(t)
	elsewhere := t.TempDir()
	origin, key := filepath.Join(elsewhere, "origin"), filepath.Join(elsewhere, "author")
	if err := programs.Put(elsewhere, "faultline"); err != nil {
		t.Fatal(err)
	}
	command(t, elsewhere, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tide", "-f", key)
	secret, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	env := []string{
		"PATH=" + elsewhere + ":" + os.Getenv("PATH"), "HOME=" + elsewhere, "RUNNER_TEMP=" + elsewhere,
		"GITHUB_ACTOR=author", "SIGNING_KEY=" + string(secret),
		"PLATFORMS=linux_" + runtime.GOARCH, "SOURCE=plugins.example.com/sea/tide",
		"GOCACHE=" + goEnv(t, "GOCACHE"), "GOMODCACHE=" + goEnv(t, "GOMODCACHE"), "GOPATH=" + goEnv(t, "GOPATH"),
	}
	sh := func(args ...string) string { t.Helper(); return command(t, dir, env, args[0], args[1:]...) }
	sh("git", "init", "-q", "--bare", origin)
	sh("git", "init", "-q", "-b", "main")
	sh("git", "remote", "add", "origin", origin)
	sh("git", "add", ".")
	sh("git", "-c", "user.name=author", "-c", "user.email=a@example.com", "commit", "-qm", "begin")

	for _, version := range []string{"0.1.0", "0.2.0"} {
		main := filepath.Join(dir, "main.go")
		text, err := os.ReadFile(main)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(main, []byte(strings.Replace(string(text), `Version: "0.1.0"`, `Version: "`+version+`"`, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		ran := 0
		for _, s := range steps(t) {
			if s.Name == "" {
				continue // what gets the source and the tools, and its tests
			}
			command(t, dir, append(env, "GITHUB_REF_NAME=v"+version), "bash", "-e", "-o", "pipefail", "-c", s.Run)
			ran++
		}
		if ran != 3 {
			t.Fatalf("%d steps of the workflow were run", ran)
		}
		// The next release has a checkout of its own.
		sh("git", "worktree", "remove", "--force", "mirror")
		sh("git", "worktree", "prune")
		if branches := sh("git", "branch", "--list", "mirror"); branches != "" {
			sh("git", "branch", "-D", "mirror")
		}
	}
	if _, err := os.Stat(filepath.Join(elsewhere, "key")); err == nil {
		t.Error("the key was left on the runner")
	}

	served := filepath.Join(elsewhere, "served")
	sh("git", "clone", "-q", "-b", "mirror", origin, served)
	plugin := filepath.Join(served, "plugins.example.com", "sea", "tide")
	var index struct{ Versions map[string]any }
	raw, err := os.ReadFile(filepath.Join(plugin, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &index); err != nil || !slices.Equal(slices.Sorted(maps.Keys(index.Versions)), []string{"0.1.0", "0.2.0"}) {
		t.Errorf("index %s, %v", raw, err)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	allowed := filepath.Join(elsewhere, "allowed")
	if err := os.WriteFile(allowed, append([]byte("tide "), public...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"0.1.0", "0.2.0"} {
		sums := "faultline-plugin-tide_" + version + "_SHA256SUMS"
		command(t, plugin, env, "bash", "-c", "ssh-keygen -Y verify -f "+allowed+" -I tide -n faultline-plugin -s "+sums+".sig <"+sums)
		command(t, plugin, env, "sha256sum", "-c", "--strict", "--ignore-missing", sums)
	}
	if files, err := filepath.Glob(filepath.Join(served, "*")); err != nil || len(files) != 2 { // git's own, and ours
		t.Errorf("on the branch are %q", files)
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(command(t, ".", nil, "go", "env", name))
}
