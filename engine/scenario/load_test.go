package scenario

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
)

// loadText loads a scenario that is one text, called test.hcl.
func loadText(text string, opts Options) (*Scenario, *Diagnostics) {
	if opts.Describe == nil {
		opts.Describe = describe
	}
	return load("test.hcl", []*source{{path: "test.hcl", text: []byte(text)}}, opts)
}

func mustLoad(t testing.TB, text string, opts Options) *Scenario {
	t.Helper()
	s, d := loadText(text, opts)
	if d.HasErrors() {
		var b strings.Builder
		_ = d.Write(&b, 0, false)
		t.Fatalf("load:\n%s", b.String())
	}
	return s
}

// language is the example of the language's description.
const language = `
scenario "checkout" {
  title       = "Checkout survives losing a web instance"
  owner       = "team-checkout"
  environment = var.environment
  runbook     = "https://wiki.example.com/checkout"
  seed        = 42
}
variable "environment" {
  type    = string
  default = "staging"
}
locals { base = "http://127.0.0.1:8080" }
plugin "docker" {
  version = "~> 0.1"
  host    = "unix:///run/docker.sock"
}
probe "prometheus" "payment_errors" {
  address  = "http://127.0.0.1:9090"
  query    = "sum(rate(payment_failures_total[10s])) or vector(0)"
  interval = "5s"
}
probe "http" "checkout" {
  url     = "${local.base}/checkout"
  rate    = 100
  timeout = "500ms"
}
steady_state "checkout" {
  objective "available" {
    probe  = probe.http.checkout
    good   = sample.ok
    target = 0.99
    during { target = 0.95 }
  }
  objective "fast" {
    probe        = probe.http.checkout
    good         = sample.latency < 0.3
    target       = 0.999
    judge        = "point"
    min_samples  = 50
    count_failed = false
  }
}
target "docker_container" "web" {
  match { label = { "app" = "web" } }
  filter { condition = candidate.state == "running" }
  filter { condition = candidate.labels["tier"] != "canary" }
  pick {
    groups   = 1
    group_by = "zone"
  }
  on_empty = "skip"
}
target "docker_container" "db" {
  match { name = "db" }
}
experiment "lose-one-web" {
  hypothesis     = "When one of three web containers dies, customers notice nothing"
  steady_state   = [steady_state.checkout]
  expect         = "recover"
  baseline       = "5s"
  observe        = "20s"
  recover_within = "30s"

  fault "docker_kill" "web" {
    target   = target.docker_container.web
    start    = "1s"
    duration = "20s"
    lease    = "5s"
    signal   = "SIGTERM"
  }
  fault "net_delay" "db" {
    target   = target.docker_container.db
    after    = [fault.docker_kill.web]
    duration = "1m"
    delay    = "100ms"
    jitter   = "1m0s"
  }
  action "exec" "note" {
    command = ["echo", "done"]
    after   = [fault.net_delay.db]
    timeout = "3s"
  }
}
guard "payments" {
  probe         = probe.prometheus.payment_errors
  good          = sample.value < 0.02
  for           = "2s"
  no_data_after = "30s"
}
limits {
  max_targets   = 3
  max_percent   = 34
  keep_per_zone = 1
  window {
    days  = ["mon", "tue", "thu"]
    hours = "09:00-16:30"
    zone  = "Europe/Berlin"
  }
}
`

func TestLoad(t *testing.T) {
	asked.Store(0)
	s := mustLoad(t, language, Options{})
	if n := asked.Load(); n != 5 {
		t.Errorf("five plugins were asked for %d times", n)
	}
	if s.Name != "checkout" || s.Owner != "team-checkout" || s.Environment != "staging" || s.Runbook == "" || s.Title == "" || s.Seed == nil || *s.Seed != 42 || s.Lease != DefaultLease {
		t.Errorf("scenario block: %+v", s)
	}
	if got := string(s.Variables["environment"]); got != `"staging"` {
		t.Errorf("variable: %s", got)
	}
	var plugins []string
	for _, p := range s.Plugins {
		plugins = append(plugins, p.Name)
	}
	if want := []string{"docker", "exec", "http", "net", "prometheus"}; !reflect.DeepEqual(plugins, want) {
		t.Errorf("plugins %v", plugins)
	}
	if p := s.Plugins[0]; p.Constraint != "~> 0.1" || string(p.Settings.Full) != `{"host":"unix:///run/docker.sock"}` || p.Pos != "test.hcl:"+lineOf(language, `plugin "docker"`) {
		t.Errorf("docker: %+v %s", p, p.Settings.Full)
	}

	errors, checkout := s.Probes[0], s.Probes[1]
	if errors.Name != "prometheus.payment_errors" || errors.Interval != 5*time.Second || errors.Timeout != DefaultTimeout {
		t.Errorf("probe %+v", errors)
	}
	if checkout.Interval != 10*time.Millisecond || checkout.Timeout != 500*time.Millisecond || checkout.Plugin != "http" {
		t.Errorf("probe %+v", checkout)
	}
	if got := string(checkout.Config.Full); got != `{"url":"http://127.0.0.1:8080/checkout","method":"GET","follow":false}` {
		t.Errorf("config %s", got)
	}

	x := s.Experiments[0]
	if x.Expect != "recover" || x.Baseline != 5*time.Second || x.Observe != 20*time.Second || x.RecoverWithin != 30*time.Second || x.Pos != "test.hcl:"+lineOf(language, "experiment") {
		t.Errorf("experiment %+v", x)
	}
	available, fast := x.Objectives[0], x.Objectives[1]
	if available.Name != "checkout.available" || available.Probe != checkout || available.Target != 0.99 || available.DuringTarget != 0.95 || available.MinSamples != 30 || available.Judge != "exact" {
		t.Errorf("objective %+v", available)
	}
	if fast.DuringTarget != 0.999 || fast.Judge != "point" || fast.MinSamples != 50 || fast.Good.Source() != "sample.latency < 0.3" || fast.Good.Pos() != "test.hcl:"+lineOf(language, "sample.latency") {
		t.Errorf("objective %+v", fast)
	}

	kill, delay, note := x.Steps[0], x.Steps[1], x.Steps[2]
	if kill.Name != "docker_kill.web" || kill.Kind != FaultStep || kill.Start != time.Second || kill.Duration != 20*time.Second || kill.Lease != 5*time.Second || kill.OnEmpty != "skip" || kill.Target != s.Targets[0] {
		t.Errorf("fault %+v", kill)
	}
	if got := string(kill.Config.Full); got != `{"signal":"SIGTERM","via":"engine"}` {
		t.Errorf("config %s", got)
	}
	if !reflect.DeepEqual(delay.After, []string{"docker_kill.web"}) || delay.Lease != DefaultLease || delay.OnEmpty != "fail" {
		t.Errorf("fault %+v", delay)
	}
	if got := string(delay.Config.Full); got != `{"delay":"100ms","jitter":"1m"}` {
		t.Errorf("config %s", got)
	}
	if note.Kind != ActionStep || note.Timeout != 3*time.Second || note.Target != nil || !reflect.DeepEqual(note.After, []string{"net_delay.db"}) {
		t.Errorf("action %+v", note)
	}

	web := s.Targets[0]
	if web.Pick != (Pick{Groups: 1, GroupBy: "zone"}) || len(web.Filters) != 2 || string(web.Match.Full) != `{"label":{"app":"web"}}` {
		t.Errorf("target %+v", web)
	}
	if db := s.Targets[1]; db.Pick != (Pick{Count: 1}) {
		t.Errorf("target %+v", db)
	}
	if g := s.Guards[0]; g.For != 2*time.Second || g.NoDataAfter != 30*time.Second || g.Probe != errors {
		t.Errorf("guard %+v", g)
	}
	m := s.Limits
	if !m.Set || m.MaxTargets != 3 || m.MaxPercent != 34 || m.KeepPerZone != 1 || len(m.Windows) != 1 {
		t.Fatalf("limits %+v", m)
	}
	w := m.Windows[0]
	if !reflect.DeepEqual(w.Days, []time.Weekday{time.Monday, time.Tuesday, time.Thursday}) || w.From != 9*time.Hour || w.To != 16*time.Hour+30*time.Minute || w.Zone.String() != "Europe/Berlin" {
		t.Errorf("window %+v", w)
	}
}

func TestForEach(t *testing.T) {
	s := mustLoad(t, `
scenario "x" {}
variable "pages" {
  default = { cart = "/cart", pay = "/pay" }
}
probe "http" "page" {
  for_each = var.pages
  url      = "http://127.0.0.1${each.value}"
}
steady_state "all" {
  objective "cart" {
    probe  = probe.http.page["cart"]
    good   = sample.ok
    target = 0.9
  }
  objective "pay" {
    probe  = (true ? probe.http.page[keys(var.pages)[1]] : probe.http.page["cart"])
    good   = sample.ok
    target = 0.9
  }
}
target "docker_container" "zone" {
  for_each = toset(["a", "b"])
  match { label = { zone = each.key } }
  filter { condition = candidate.zone == each.value }
}
experiment "lose" {
  for_each     = { one = ["a"], two = ["a", "b"] }
  hypothesis   = "losing ${each.key} zones is fine"
  steady_state = [steady_state.all]
  depends_on   = [experiment.first["x"]]
  fault "docker_kill" "web" {
    for_each = toset(each.value)
    target   = target.docker_container.zone[each.key]
    duration = "5s"
  }
  fault "docker_pause" "web" {
    target   = target.docker_container.zone["a"]
    duration = "5s"
    after    = [fault.docker_kill.web]
  }
}
experiment "first" {
  for_each     = toset(["x"])
  steady_state = [steady_state.all]
}
experiment "last" {
  steady_state = [steady_state.all]
  depends_on   = [experiment.lose]
}
experiment "never" {
  for_each     = {}
  steady_state = [steady_state.all]
}
`, Options{})
	var names []string
	for _, x := range s.Experiments {
		names = append(names, x.Name)
	}
	if want := []string{`first["x"]`, `lose["one"]`, `lose["two"]`, "last"}; !reflect.DeepEqual(names, want) {
		t.Fatalf("experiments %v", names)
	}
	two := s.Experiments[2]
	if two.Hypothesis != "losing two zones is fine" {
		t.Errorf("hypothesis %q", two.Hypothesis)
	}
	if len(two.Steps) != 3 || two.Steps[1].Name != `docker_kill.web["b"]` || two.Steps[1].Target.Name != `docker_container.zone["b"]` {
		t.Errorf("steps of the second: %+v", two.Steps[1])
	}
	if want := []string{`docker_kill.web["a"]`, `docker_kill.web["b"]`}; !reflect.DeepEqual(two.Steps[2].After, want) {
		t.Errorf("after %v", two.Steps[2].After)
	}
	if want := []string{`lose["one"]`, `lose["two"]`}; !reflect.DeepEqual(s.Experiments[3].DependsOn, want) {
		t.Errorf("depends_on %v", s.Experiments[3].DependsOn)
	}
	if o := two.Objectives; o[0].Probe.Name != `http.page["cart"]` || o[1].Probe.Name != `http.page["pay"]` {
		t.Errorf("probes of the objectives: %s, %s", o[0].Probe.Name, o[1].Probe.Name)
	}
	if got := string(s.Probes[1].Config.Full); !strings.Contains(got, "127.0.0.1/pay") {
		t.Errorf("config %s", got)
	}
}

func TestOrder(t *testing.T) {
	s := mustLoad(t, prelude+`
experiment "a" {
  steady_state = [steady_state.checkout]
  depends_on   = [experiment.c]
}
experiment "b" {
  steady_state = [steady_state.checkout]
}
experiment "c" {
  steady_state = [steady_state.checkout]
  depends_on   = [experiment.b]
}
experiment "d" {
  steady_state = [steady_state.checkout]
}
`, Options{})
	var names []string
	for _, x := range s.Experiments {
		names = append(names, x.Name)
	}
	if got := strings.Join(names, " "); got != "base b c a d" {
		t.Errorf("order: %s", got)
	}
}

func TestSensitive(t *testing.T) {
	s := mustLoad(t, prelude+`
plugin "docker" {
  registry_password = "pw-${var.token}"
}
probe "http" "secret" {
  url     = "http://127.0.0.1/?t=${var.token}"
  headers = { Authorization = "Bearer ${var.token}", Accept = "text/plain" }
  tls {
    key = "not from a variable"
  }
}
guard "g" {
  probe = probe.http.secret
  good  = sample.body == var.token
}
`, Options{})
	p := s.Probes[len(s.Probes)-1]
	if want := `{"url":"(sensitive)","method":"GET","headers":{"Accept":"text/plain","Authorization":"(sensitive)"},"follow":false,"tls":{"skip_verify":false,"key":"(sensitive)"}}`; string(p.Config.Redacted) != want {
		t.Errorf("redacted:\n%s\nwant:\n%s", p.Config.Redacted, want)
	}
	if !strings.Contains(string(p.Config.Full), "Bearer s3cret-token") {
		t.Errorf("full: %s", p.Config.Full)
	}
	if got := string(s.Plugins[0].Settings.Redacted); strings.Contains(got, "s3cret") || !strings.Contains(got, "(sensitive)") {
		t.Errorf("settings: %s", got)
	}
	want := []string{"Bearer s3cret-token", "http://127.0.0.1/?t=s3cret-token", "not from a variable", "pw-s3cret-token", "s3cret-token", "text/plain"}
	for _, secret := range want[:5] {
		found := false
		for _, x := range s.Sensitive {
			found = found || x == secret
		}
		if !found {
			t.Errorf("%q is not listed as sensitive: %q", secret, s.Sensitive)
		}
	}
	for _, x := range s.Sensitive {
		if x == "text/plain" {
			t.Error("a value beside a secret is taken for one")
		}
	}
	if _, ok := s.Variables["token"]; ok {
		t.Error("a sensitive variable is listed with its value")
	}
}

func TestVariables(t *testing.T) {
	text := `
variable "a" { type = string }
variable "n" {
  type    = number
  default = 1
}
variable "l" {
  type    = list(string)
  default = []
}
variable "o" {
  type    = object({ x = optional(string, "dflt"), y = number })
  default = { y = 2 }
}
variable "any" { default = null }
` + prelude
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	first := write("first.fvars", "a = \"file\"\nn = 5\nl = [\"f\"]\n")
	second := write("second.json", `{"n": 6}`)
	env := map[string]string{"FAULTLINE_VAR_a": "env", "FAULTLINE_VAR_l": `["e"]`}
	look := func(name string) (string, bool) { s, ok := env[name]; return s, ok }
	tests := map[string]struct {
		opts Options
		want map[string]string
		err  string
	}{
		"nothing":      {err: `Variable without a value: The variable "a" has no default`},
		"environment":  {opts: Options{Environ: look}, want: map[string]string{"a": `"env"`, "n": "1", "l": `["e"]`, "o": `{"x":"dflt","y":2}`, "any": "null"}},
		"files":        {opts: Options{Environ: look, VarFiles: []string{first, second}}, want: map[string]string{"a": `"file"`, "n": "6", "l": `["f"]`}},
		"command line": {opts: Options{VarFiles: []string{first}, Vars: map[string]string{"a": "7", "n": "7", "l": `["x", upper("y")]`}}, want: map[string]string{"a": `"7"`, "n": "7", "l": `["x","Y"]`}},
		"recorded": {
			opts: Options{Environ: look, VarFiles: []string{second}, Recorded: map[string]json.RawMessage{"a": []byte(`"plan"`), "n": []byte("4"), "l": []byte(`["p"]`), "any": []byte(`{"k":[1]}`)}},
			want: map[string]string{"a": `"plan"`, "n": "6", "l": `["p"]`, "any": `{"k":[1]}`},
		},
		"recorded no JSON": {opts: Options{Recorded: map[string]json.RawMessage{"a": []byte("{")}}, err: `The saved plan's value of the variable "a" is not JSON`},
		"not a number":     {opts: Options{Vars: map[string]string{"a": "", "n": "seven"}}, err: `The variable "n" is number, and -var n is not`},
		"not a list":       {opts: Options{Vars: map[string]string{"a": "", "l": "x"}}, err: `-var l gives the variable "l" a value that is not an expression of type list(string)`},
		"unknown":          {opts: Options{Vars: map[string]string{"a": "", "nn": "1"}}, err: `-var nn sets the variable "nn", which the scenario does not declare. Did you mean "n"?`},
		"no file":          {opts: Options{VarFiles: []string{dir + "/none"}}, err: "Cannot read a variable file"},
		"file of blocks":   {opts: Options{VarFiles: []string{write("b.fvars", "x {}\n")}}, err: "b.fvars:1: a block; a variable file has lines of the form: name = value"},
		"broken file":      {opts: Options{VarFiles: []string{write("c.fvars", "token = \"hunter2\n")}}, err: "a variable file has lines of the form"},
		"deep value":       {opts: Options{Vars: map[string]string{"a": "", "l": strings.Repeat("[", 100_000)}}, err: "not an expression of type"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, d := loadText(text, test.opts)
			if test.err != "" {
				var b strings.Builder
				_ = d.Write(&b, 0, false)
				if !strings.Contains(d.Error(), test.err) && !strings.Contains(b.String(), test.err) {
					t.Errorf("got:\n%s", b.String())
				}
				if strings.Contains(b.String(), "hunter2") {
					t.Error("a value of a variable file is shown")
				}
				return
			}
			if s == nil {
				t.Fatal(d.Error())
			}
			for name, want := range test.want {
				if got := string(s.Variables[name]); got != want {
					t.Errorf("%s = %s, not %s", name, got, want)
				}
			}
		})
	}
}

func TestFunctions(t *testing.T) {
	s := mustLoad(t, prelude+`
variable "results" { default = null }
locals {
  all = {
    duration = duration("300ms") == 0.3 && duration("1m30s") == 90
    sum      = sum([1, 2.5]) == 3.5
    length   = length("äb") == 2 && length([1]) == 1 && length({ a = 1 }) == 1 && length(toset(["x"])) == 1
    starts   = startswith("abc", "ab") && endswith("abc", "bc") && strcontains("abc", "b")
    base64   = base64decode(base64encode("ä")) == "ä"
    sha      = substr(sha256(""), 0, 8) == "e3b0c442"
    url      = urlencode("a b&") == "a+b%26"
    yaml     = yamldecode("a: [1, 2]").a[1] == 2
    json     = jsondecode(jsonencode({ a = 1 })).a == 1
    bools    = alltrue([true, true]) && anytrue([false, true]) && !alltrue([true, false]) && alltrue([])
    try      = try(local.nothing.b, "x") == "x" && can(1) && !can(local.nothing.b)
    sets     = contains(setunion(toset(["a"]), toset(["b"])), "b")
    strings  = join(",", reverse(split(",", upper("a,b")))) == "B,A"
  }
  nothing = {}
  failed  = [for k, v in local.all : k if !v]
}
experiment "functions" {
  for_each     = toset(local.failed)
  steady_state = [steady_state.checkout]
}
`, Options{})
	for _, x := range s.Experiments[1:] {
		t.Errorf("wrong: %s", x.Name)
	}
}

func TestLoadFromDisk(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.hcl":       strings.Replace(prelude, `scenario "prelude" {}`, "", 1),
		"a.hcl":       `scenario "x" {}`,
		"vars.hcl":    `regions = ["eu", "asia"]`,
		".hidden.hcl": "broken {",
		"notes.txt":   "broken {",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, d := Load(dir, Options{Describe: describe, VarFiles: []string{filepath.Join(dir, "vars.hcl")}})
	if d.HasErrors() {
		t.Fatal(d)
	}
	if len(s.Files) != 2 || filepath.Base(s.Files[0].Path) != "a.hcl" || len(s.Files[0].SHA256) != 64 {
		t.Errorf("files %+v", s.Files)
	}
	if _, d := Load(filepath.Join(dir, "b.hcl"), Options{Describe: describe}); !strings.Contains(d.Error(), "No scenario block") {
		t.Errorf("one file: %v", d)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file",
		t.TempDir():                "has no *.hcl file",
	} {
		if s, d := Load(path, Options{Describe: describe}); s != nil || !strings.Contains(d.Error(), want) {
			t.Errorf("%s: %v", path, d)
		}
	}
}

// TestPieces loads a file that is parsed in pieces, with false ends of blocks
// inside a comment and a text, and expects what parsing it whole gives.
func TestPieces(t *testing.T) {
	filler := strings.Repeat("# a line that only takes room\n", 3*chunkBytes/30)
	text := prelude + filler + "/*\n" + filler + "}\n*/\nlocals {\n  text = <<EOT\n" + filler + "\n}\n" + filler + "EOT\n}\n" + filler +
		"experiment \"last\" {\n  steady_state = [steady_state.checkout]\n}\n"
	s := &source{path: "test.hcl", text: []byte(text)}
	if n := len(s.pieces()); n < 2 {
		t.Fatalf("%d pieces: the test tests nothing", n)
	}
	x := mustLoad(t, text, Options{})
	if x.Experiments[1].Pos != "test.hcl:"+lineOf(text, `experiment "last"`) {
		t.Errorf("place %s", x.Experiments[1].Pos)
	}
	_, d := loadText(text+"\nexperiment \"broken\" {\n  x = \n}\n", Options{})
	if all := d.All(); len(all) == 0 || all[0].Line != strings.Count(text, "\n")+3 {
		t.Errorf("%+v", all)
	}
}

func lineOf(text, part string) string {
	return strconv.Itoa(1 + strings.Count(text[:strings.Index(text, part)], "\n"))
}

func TestPluginVersion(t *testing.T) {
	text := prelude + "\nplugin \"http\" {\n  version = \">= 9\"\n}\n"
	opts := Options{CheckVersion: func(d *schema.Description, constraint string) error {
		if d.Name != "http" || constraint != ">= 9" {
			t.Errorf("asked whether %s satisfies %q", d.Name, constraint)
		}
		return errors.New("plugin is too old")
	}}
	if _, d := loadText(text, opts); !strings.Contains(d.Error(), "Wrong plugin version") {
		t.Errorf("got: %s", d.Error())
	}
	opts.CheckVersion = func(*schema.Description, string) error { return nil }
	if _, d := loadText(text, opts); d.HasErrors() {
		t.Errorf("got: %s", d.Error())
	}
}
