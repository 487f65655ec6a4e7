// Package ci_test holds the templates for CI servers against what those servers
// understand, and runs what the templates run: with real programs, against a real shop.
package ci_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	yaml "github.com/zclconf/go-cty-yaml"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/faultline-go/faultline/internal/programs"
	"github.com/faultline-go/faultline/scenarios/quickstart"
)

// A game day against the shop: customers can buy, or, with limit = 0, cannot buy fast
// enough. It breaks nothing, so that it is short.
const gameDay = `scenario "ci" { title = "Customers can buy" }
variable "url" { type = string }
variable "limit" {
  type    = number
  default = 60
}
probe "http" "shop" {
  url  = var.url
  rate = 5 # a slow machine is no reason to miss a sample
}
steady_state "buying" {
  objective "works" {
    probe       = probe.http.shop
    good        = sample.ok && sample.latency < var.limit
    target      = 0.5
    min_samples = 5
  }
}
experiment "watch" {
  hypothesis   = "Customers can buy"
  steady_state = [steady_state.buying]
  observe      = "3s"
}
`

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "faultline-ci-")
	if err != nil {
		return "", err
	}
	return dir, programs.Put(dir, "faultline", "shop", "faultline-plugin-http")
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := built(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// tries is how often a game day may say that too many samples were not sent in time,
// which a machine with much else to do is to blame for.
const tries = 5

// job is a CI job's machine: a repository with the game day in it, and a shop.
type job struct {
	t    *testing.T
	bin  string // folder of the programs
	dir  string // the checkout
	temp string
	url  string

	action string // where GitHub has put the action
}

func newJob(t *testing.T) *job {
	t.Helper()
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	j := &job{t: t, bin: bin, dir: t.TempDir(), temp: t.TempDir()}
	if j.action, err = filepath.Abs("github"); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(j.dir, "game days"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(j.dir, "game days", "ci.hcl"), []byte(gameDay), 0o644); err != nil {
		t.Fatal(err)
	}
	shop, err := quickstart.Start(context.Background(), filepath.Join(bin, "shop"), filepath.Join(j.temp, "shop"), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shop.Stop(); err != nil {
			t.Error(err)
		}
	})
	j.url = shop.URL() + "/checkout"
	return j
}

// run runs a script as a CI server does, and returns what it printed and its exit code.
func (j *job) run(shell []string, script string, env map[string]string) (string, int) {
	j.t.Helper()
	path := filepath.Join(j.temp, "script")
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		j.t.Fatal(err)
	}
	cmd := exec.Command(shell[0], append(shell[1:], path)...)
	cmd.Dir = j.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + j.temp, "TMPDIR=" + j.temp, "FAULTLINE_STATE_DIR=" + filepath.Join(j.temp, "state"),
		"XDG_CACHE_HOME=" + filepath.Join(j.temp, "cache"), "RUNNER_TEMP=" + j.temp}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		j.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func (j *job) read(path string) string {
	j.t.Helper()
	if !filepath.IsAbs(path) {
		path = filepath.Join(j.dir, path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		j.t.Fatal(err)
	}
	return string(raw)
}

// load reads a YAML file into v, by way of JSON.
func load(t *testing.T, path string, v any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	typ, err := yaml.Standard.ImpliedType(raw)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	value, err := yaml.Standard.Unmarshal(raw, typ)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	text, err := ctyjson.Marshal(value, typ)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields() // what a server would read over, or refuse
	if err := d.Decode(v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// action is what GitHub's schema of action.yml has for a composite action.
type action struct {
	Name        string                                         `json:"name"`
	Author      string                                         `json:"author"`
	Description string                                         `json:"description"`
	Branding    struct{ Icon, Color string }                   `json:"branding"`
	Inputs      map[string]actionInput                         `json:"inputs"`
	Outputs     map[string]struct{ Description, Value string } `json:"outputs"`
	Runs        struct {
		Using string
		Steps []actionStep
	} `json:"runs"`
}

type actionInput struct {
	Description string  `json:"description"`
	Required    bool    `json:"required"`
	Default     *string `json:"default"`
}

type actionStep struct {
	Name  string            `json:"name"`
	ID    string            `json:"id"`
	If    string            `json:"if"`
	Shell string            `json:"shell"`
	Env   map[string]string `json:"env"`
	Run   string            `json:"run"`
}

var expression = regexp.MustCompile(`\$\{\{ *(.*?) *\}\}`)

func TestGitHubActionFollowsTheSchema(t *testing.T) {
	var a action
	load(t, "github/action.yml", &a)
	if a.Name == "" || a.Description == "" || len(a.Description) > 125 || a.Runs.Using != "composite" || len(a.Runs.Steps) == 0 {
		t.Errorf("%+v", a)
	}
	if !slices.Contains([]string{"white", "black", "yellow", "blue", "green", "orange", "red", "purple", "gray-dark"}, a.Branding.Color) {
		t.Errorf("no colour of GitHub's: %q", a.Branding.Color)
	}
	known := []string{"github.action_path"}
	for name, in := range a.Inputs {
		known = append(known, "inputs."+name)
		if in.Description == "" || in.Required == (in.Default != nil) {
			t.Errorf("input %s: %+v", name, in)
		}
	}
	use := func(where, text string) {
		for _, m := range expression.FindAllStringSubmatch(text, -1) {
			for _, part := range regexp.MustCompile(`[a-z]+(\.[a-z_-]+)+`).FindAllString(m[1], -1) {
				if !slices.Contains(known, part) {
					t.Errorf("%s uses %s, which is not there", where, part)
				}
			}
		}
	}
	for _, s := range a.Runs.Steps {
		if s.Name == "" || s.Shell != "bash" || s.Run == "" {
			t.Errorf("a step without name, shell or commands: %+v", s)
		}
		for _, value := range s.Env {
			use(s.Name, value)
		}
		use(s.Name, s.If)
		if expression.MatchString(s.Run) {
			t.Errorf("%s has an expression in its commands, through which an input could be run", s.Name)
		}
		if s.ID != "" {
			for _, m := range regexp.MustCompile(`echo "([a-z-]+)=`).FindAllStringSubmatch(s.Run, -1) {
				known = append(known, "steps."+s.ID+".outputs."+m[1])
			}
		}
	}
	for name, o := range a.Outputs {
		if o.Description == "" {
			t.Errorf("output %s has no description", name)
		}
		use("output "+name, o.Value)
	}
}

// actConclusively acts until the run has shown something.
func (j *job) actConclusively(inputs, env map[string]string) (log string, outputs map[string]string, failed bool) {
	j.t.Helper()
	for try := 1; ; try++ {
		log, outputs, failed = j.act(inputs, env)
		if outputs["verdict"] != "inconclusive" || try == tries {
			return log, outputs, failed
		}
		if path := env["GITHUB_STEP_SUMMARY"]; path != "" {
			_ = os.Remove(path)
		}
	}
}

// runConclusively runs a script that writes faultline-report until the run has shown
// something.
func (j *job) runConclusively(shell []string, script string, env map[string]string) (string, int) {
	j.t.Helper()
	for try := 1; ; try++ {
		log, code := j.run(shell, script, env)
		if code != 3 || try == tries {
			return log, code
		}
	}
}

// act runs the action's steps as GitHub's runner does, and returns the outputs.
func (j *job) act(inputs, env map[string]string) (log string, outputs map[string]string, failed bool) {
	j.t.Helper()
	var a action
	load(j.t, "github/action.yml", &a)
	values := map[string]string{"github.action_path": j.action}
	for name, in := range a.Inputs {
		if in.Default != nil {
			values["inputs."+name] = *in.Default
		}
	}
	for name, value := range inputs {
		values["inputs."+name] = value
	}
	expand := func(text string) string {
		return expression.ReplaceAllStringFunc(text, func(e string) string { return values[expression.FindStringSubmatch(e)[1]] })
	}
	for _, s := range a.Runs.Steps {
		if always := strings.Contains(s.If, "always()"); failed && !always {
			continue
		}
		file := filepath.Join(j.temp, "output")
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			j.t.Fatal(err)
		}
		vars := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": j.dir, "GITHUB_OUTPUT": file}
		for name, value := range env {
			vars[name] = value
		}
		for name, value := range s.Env {
			vars[name] = expand(value)
		}
		out, code := j.run([]string{"bash", "--noprofile", "--norc", "-eo", "pipefail"}, s.Run, vars)
		log += out
		failed = failed || code != 0
		for _, l := range strings.Split(strings.TrimSpace(j.read(file)), "\n") {
			name, value, _ := strings.Cut(l, "=")
			values["steps."+s.ID+".outputs."+name] = value
		}
	}
	outputs = map[string]string{}
	for name, o := range a.Outputs {
		outputs[name] = expand(o.Value)
	}
	return log, outputs, failed
}

func TestGitHubAction(t *testing.T) {
	j := newJob(t)
	summary := filepath.Join(j.temp, "summary.md")
	env := map[string]string{"GITHUB_STEP_SUMMARY": summary}
	inputs := map[string]string{"binary": filepath.Join(j.bin, "faultline"), "scenario": "game days", "args": "-var\nurl=" + j.url + "\n"}
	log, out, failed := j.actConclusively(inputs, env)
	if failed || out["verdict"] != "held" || out["exit-code"] != "0" {
		t.Fatalf("failed %v, %v:\n%s", failed, out, log)
	}
	if !strings.Contains(log, "::notice file=game days/ci.hcl,line=") || !strings.HasPrefix(j.read(summary), "# HELD – ") {
		t.Errorf("annotations or summary are missing:\n%s", log)
	}
	if !strings.Contains(j.read(out["report"]), `"format": "faultline.report/v1"`) || !strings.Contains(j.read(out["junit"]), `file="game days/ci.hcl"`) {
		t.Errorf("reports: %v", out)
	}
	for _, name := range []string{"report.md", "metrics.txt"} {
		j.read(filepath.Join(out["folder"], name))
	}

	inputs["args"] += "-var\nlimit=0"
	inputs["annotations"] = "false"
	before := j.read(summary)
	log, out, failed = j.actConclusively(inputs, map[string]string{"GITHUB_STEP_SUMMARY": summary + ".off"})
	if !failed || out["verdict"] != "broken" || out["exit-code"] != "1" || strings.Contains(log, "::error") || j.read(summary) != before {
		t.Errorf("failed %v, %v:\n%s", failed, out, log)
	}
	if _, err := os.Stat(summary + ".off"); err == nil {
		t.Error("there is a summary that was switched off")
	}
	if !strings.Contains(j.read(out["junit"]), "<failure ") {
		t.Error("no failure in the JUnit file")
	}

	// A plugin that nobody has locked is not fetched, and nothing is run.
	if err := os.MkdirAll(filepath.Join(j.dir, "unlocked"), 0o755); err != nil {
		t.Fatal(err)
	}
	unlocked := gameDay + "plugin \"lamp\" {\n  source = \"plugins.example.com/acme/lamp\"\n}\n"
	if err := os.WriteFile(filepath.Join(j.dir, "unlocked", "ci.hcl"), []byte(unlocked), 0o644); err != nil {
		t.Fatal(err)
	}
	inputs["scenario"] = "unlocked"
	log, out, failed = j.act(inputs, env)
	if !failed || out["verdict"] != "" || out["exit-code"] != "7" || !strings.Contains(log, "plugins.example.com/acme/lamp is not in the lock file") {
		t.Errorf("failed %v, %v:\n%s", failed, out, log)
	}

	// Nothing is run: no outputs, and an input is never a command.
	inputs["scenario"] = `none"; touch "$RUNNER_TEMP/hacked"; "$(touch $RUNNER_TEMP/hacked)`
	log, out, failed = j.act(inputs, env)
	if !failed || out["verdict"] != "" || out["exit-code"] != "2" || out["report"] != "" {
		t.Errorf("failed %v, %v:\n%s", failed, out, log)
	}
	if _, err := os.Stat(filepath.Join(j.temp, "hacked")); err == nil {
		t.Error("an input was run as a command")
	}
	inputs["binary"] = "/none/faultline"
	if log, _, failed = j.act(inputs, env); !failed || !strings.Contains(log, "::error title=faultline::there is no program /none/faultline") {
		t.Errorf("without a program:\n%s", log)
	}
}

// Without a binary the action builds one where GitHub has put it: the checkout of its own
// version. Here `make build` only copies what the other tests have built.
func TestGitHubActionBuilds(t *testing.T) {
	j := newJob(t)
	source := filepath.Join(j.temp, "an action")
	j.action = filepath.Join(source, "contrib", "ci", "github")
	if err := os.MkdirAll(j.action, 0o755); err != nil {
		t.Fatal(err)
	}
	makefile := "build:\n\tmkdir -p bin && cp -f '" + j.bin + "'/faultline* bin/\n"
	if err := os.WriteFile(filepath.Join(source, "Makefile"), []byte(makefile), 0o644); err != nil {
		t.Fatal(err)
	}
	log, out, failed := j.actConclusively(map[string]string{"scenario": "game days/ci.hcl", "args": "-var=url=" + j.url, "strict": "true"}, nil)
	if failed || out["verdict"] != "held" || !strings.Contains(log, "::notice file=game days/ci.hcl,line=") {
		t.Errorf("failed %v, %v:\n%s", failed, out, log)
	}
}

// gitlabJob is what the template uses of GitLab's keywords.
type gitlabJob struct {
	Variables     map[string]string `json:"variables"`
	ResourceGroup string            `json:"resource_group"`
	Interruptible bool              `json:"interruptible"`
	Script        []string          `json:"script"`
	AfterScript   []string          `json:"after_script"`
	Artifacts     struct {
		When    string            `json:"when"`
		Paths   []string          `json:"paths"`
		Reports map[string]string `json:"reports"`
	} `json:"artifacts"`
}

func TestGitLab(t *testing.T) {
	var file map[string]gitlabJob
	load(t, "gitlab/faultline.gitlab-ci.yml", &file)
	template, ok := file[".faultline"]
	if !ok || len(file) != 1 || template.Artifacts.When != "always" {
		t.Fatalf("%+v", file)
	}
	j := newJob(t)
	for _, tc := range []struct {
		limit, verdict, element string
		code                    int
	}{{"60", "held", "<system-out>", 0}, {"0", "broken", "<failure ", 1}} {
		env := map[string]string{"CI_PROJECT_DIR": j.dir}
		for name, value := range template.Variables {
			env[name] = value
		}
		env["FAULTLINE"] = filepath.Join(j.bin, "faultline")
		env["FAULTLINE_SCENARIO"] = "game days"
		env["FAULTLINE_ARGS"] = "-var url=" + j.url + " -var limit=" + tc.limit
		// GitLab's runner takes sh where the image has no bash.
		log, code := j.runConclusively([]string{"sh", "-e"}, strings.Join(template.Script, "\n"), env)
		if code != tc.code {
			t.Fatalf("code %d, not %d:\n%s", code, tc.code, log)
		}
		if log, code := j.run([]string{"sh", "-e"}, strings.Join(template.AfterScript, "\n"), env); code != 0 {
			t.Errorf("after_script: %d\n%s", code, log)
		}
		for kind, path := range template.Artifacts.Reports {
			text := j.read(path)
			want := map[string]string{"junit": tc.element, "metrics": `faultline_run_verdict{scenario="ci",verdict="` + tc.verdict + `"} 1`, "dotenv": "FAULTLINE_VERDICT=" + tc.verdict + "\n"}[kind]
			if want == "" || !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", kind, want, text)
			}
			if !slices.ContainsFunc(template.Artifacts.Paths, func(p string) bool { return strings.HasPrefix(path, p) }) {
				t.Errorf("%s is not kept", path)
			}
		}
		if !strings.Contains(j.read("faultline-report/junit.xml"), ` name="watch" classname="ci" `) || !strings.Contains(j.read("faultline-report/junit.xml"), ` file="game days/ci.hcl"`) {
			t.Errorf("GitLab would not show the case and its file:\n%s", j.read("faultline-report/junit.xml"))
		}
	}
}

var shellStep = regexp.MustCompile(`(?s)sh '''(.*?)'''|sh '([^'\n]*)'`)

func TestJenkins(t *testing.T) {
	raw, err := os.ReadFile("jenkins/Jenkinsfile")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	// The sections of a declarative pipeline, once their texts are out of the way.
	bare := regexp.MustCompile(`(?s)'''.*?'''|'[^'\n]*'|//[^\n]*`).ReplaceAllString(text, "")
	depth := 0
	for _, r := range bare {
		switch r {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth < 0 {
			break
		}
	}
	if depth != 0 || !regexp.MustCompile(`(?s)^\s*pipeline \{\s*agent any.*stages \{\s*stage\(\) \{\s*steps \{.*post \{\s*always \{.*junit testResults: `).MatchString(bare) {
		t.Errorf("no declarative pipeline: depth %d\n%s", depth, bare)
	}
	steps := shellStep.FindAllStringSubmatch(text, -1)
	if len(steps) != 2 {
		t.Fatalf("%d shell steps", len(steps))
	}
	j := newJob(t)
	for _, tc := range []struct {
		args    string
		code    int
		element string
	}{{"-var url=" + j.url, 0, "<system-out>"}, {"-var url=" + j.url + " -var limit=0", 1, "<failure "}, {"-lenientt", 2, ""}} {
		env := map[string]string{"FAULTLINE": filepath.Join(j.bin, "faultline"), "SCENARIO": "game days", "ARGS": tc.args, "STRICT": "true", "WORKSPACE": j.dir}
		for i, step := range steps {
			script := strings.ReplaceAll(step[1]+step[2], `\\`, `\`) // Groovy's escape
			log, code := j.runConclusively([]string{"sh", "-xe"}, script, env)
			if want := []int{tc.code, 0}[i]; code != want {
				t.Fatalf("step %d: %d, not %d\n%s", i, code, want, log)
			}
		}
		if tc.element != "" && !strings.Contains(j.read("faultline-report/junit.xml"), tc.element) {
			t.Errorf("no %s", tc.element)
		}
	}
}
