package scenario

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/faultline-go/faultline/sdk/schema"
)

// Options are what a scenario is loaded with, beside its files.
type Options struct {
	// Vars are values of variables, from the command line. They win over VarFiles,
	// which win over the environment, which wins over defaults.
	Vars map[string]string
	// VarFiles are files of `name = value` lines (or JSON, by their ending); a later
	// one wins.
	VarFiles []string
	// Recorded are the values that a saved plan was made with (Scenario.Variables), as
	// JSON. VarFiles win over them, they win over the environment.
	Recorded map[string]json.RawMessage
	// Environ looks up an environment variable; FAULTLINE_VAR_x gives variable x.
	// Nil: there is no environment.
	Environ func(string) (string, bool)
	// Environment is told where the scenario is to run, before any plugin is asked for: a
	// policy may have a say in which of them may start. Its error ends the loading.
	Environment func(name string) error
	// Describe returns what a plugin offers. It is asked at most once for each
	// plugin. Its error is shown to the author of the scenario.
	Describe func(plugin string) (*schema.Description, error)
	// Installed says why a plugin that has a source cannot be used as it was installed;
	// its error follows "The ". It is asked before Describe. Nil: nothing is installed,
	// and Describe decides.
	Installed func(Need) error
	// CheckVersion says why a plugin does not satisfy a scenario's constraint. Nil:
	// every version does.
	CheckVersion func(d *schema.Description, constraint string) error
	// Catalog has the experiments of `source = "catalog:NAME"`: a folder each, with
	// *.hcl files. Nil: there is no catalogue.
	Catalog fs.FS
	// Survey reads a scenario to see what it declares, beside others: variables without
	// a value get one that stands in, and values for variables that it does not declare
	// are no error. Nothing may be planned from what comes of it.
	Survey bool
}

// Load reads a scenario from a folder (its *.hcl files, in order of name) or from
// one file. The scenario is nil when the diagnostics have errors; the diagnostics
// are never nil.
func Load(path string, opts Options) (*Scenario, *Diagnostics) {
	files, err := readSources(path, opts.VarFiles)
	if err != nil {
		return nil, &Diagnostics{list: hcl.Diagnostics{{
			Severity: hcl.DiagError,
			Summary:  "Cannot read the scenario",
			Detail:   err.Error(),
		}}}
	}
	return load(path, files, opts)
}

// loader holds what is known while a scenario is loaded. Its parts are filled in
// the order in which load calls its methods.
type loader struct {
	opts      Options
	sources   map[string]*source
	diags     hcl.Diagnostics
	said      map[saying]bool
	suggested int

	blocks      map[string][]*hclsyntax.Block // by type, in source order
	probes      *namespace
	targets     *namespace
	steady      *namespace
	experiments *namespace
	guards      *namespace

	variables map[string]*variable
	locals    map[string]*local
	functions *hcl.EvalContext // functions only
	root      *hcl.EvalContext // var, local and functions
	secrets   map[string]bool

	plugins map[string]*plugin

	probeOf    map[string]*Probe // by instance name
	targetOf   map[string]*Target
	objectives map[string][]*Objective // by steady state

	scenario *Scenario

	entries map[string]*entry // by source
	used    *use              // what the scenario reads this entry for; nil: this is the scenario
	prefix  string            // of the names of targets, in an entry
}

// saying is what makes two diagnostics the same: a fault in the body of a block
// with for_each would be reported for each instance.
type saying struct {
	file            string
	at              int
	summary, detail string
}

func newLoader(path string, opts Options) *loader {
	return &loader{
		opts:        opts,
		sources:     map[string]*source{},
		said:        map[saying]bool{},
		blocks:      map[string][]*hclsyntax.Block{},
		probes:      newNamespace("probe", 2),
		targets:     newNamespace("target", 2),
		steady:      newNamespace("steady_state", 1),
		experiments: newNamespace("experiment", 1),
		guards:      newNamespace("guard", 1),
		variables:   map[string]*variable{},
		locals:      map[string]*local{},
		secrets:     map[string]bool{},
		plugins:     map[string]*plugin{},
		probeOf:     map[string]*Probe{},
		targetOf:    map[string]*Target{},
		objectives:  map[string][]*Objective{},
		entries:     map[string]*entry{},
		scenario:    &Scenario{Source: path, Lease: DefaultLease, Variables: map[string]json.RawMessage{}},
	}
}

func load(path string, files []*source, opts Options) (*Scenario, *Diagnostics) {
	l := newLoader(path, opts)
	for _, f := range files {
		l.sources[f.path] = f
		l.scenario.Files = append(l.scenario.Files, f.file())
		for _, d := range f.parse() {
			l.add(d)
		}
	}
	// With broken syntax, what was understood may be anything.
	syntax := l.diags.HasErrors()
	if !syntax {
		l.collect(files)
	}
	switch {
	case syntax:
	case l.isEntry():
		l.error(header(l.experiments.order[0].block), "Not a scenario", "%s is an experiment for scenarios to use, and none itself: one uses it with source = \"./…\", and `faultline catalog` followed by its folder shows its inputs.", l.scenario.Source)
	default:
		l.loadVariables()
		l.loadLocals()
		l.loadScenarioBlock()
		if !l.enter() {
			break
		}
		l.loadPluginBlocks()
		l.loadLimits()
		l.loadProbes()
		l.loadTargets()
		l.loadSteadyStates()
		l.loadGuards()
		l.loadExperiments()
		l.listPlugins()
		l.warnUnused()
	}
	l.scenario.Sensitive = sortedKeys(l.secrets)
	hide(l.diags, l.scenario.Sensitive)
	sortByPlace(l.diags)
	d := &Diagnostics{list: l.diags, sources: l.sources}
	if d.HasErrors() {
		return nil, d
	}
	l.scenario.loader = l
	return l.scenario, d
}

func (l *loader) add(d *hcl.Diagnostic) {
	if l.used != nil {
		l.toInput(d)
		l.used.by.add(d)
		return
	}
	s := saying{summary: d.Summary, detail: d.Detail}
	if d.Subject != nil {
		s.file, s.at = d.Subject.Filename, d.Subject.Start.Byte
	}
	if l.said[s] {
		return
	}
	l.said[s] = true
	d.Expression, d.EvalContext = nil, nil
	l.diags = append(l.diags, d)
}

func (l *loader) error(at hcl.Range, summary, detail string, values ...any) {
	l.add(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, values...), Subject: &at})
}

func (l *loader) warn(at hcl.Range, summary, detail string, values ...any) {
	l.add(&hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: summary, Detail: fmt.Sprintf(detail, values...), Subject: &at})
}

// isEntry says whether what was read as a scenario is an experiment for others to use.
func (l *loader) isEntry() bool {
	for _, of := range []string{"scenario", "probe", "steady_state", "limits"} {
		if len(l.blocks[of]) > 0 {
			return false
		}
	}
	return len(l.experiments.order) == 1 && l.experiments.order[0].block.Body.Attributes["steady_state"] == nil
}

// checklist is what people have to see to before the game day.
func (a *args) checklist() []string {
	v, ok := a.value("checklist", cty.List(cty.String))
	if !ok {
		return nil
	}
	var all []string
	for _, item := range v.AsValueSlice() {
		text := ""
		if !item.IsNull() {
			text = strings.TrimSpace(item.AsString())
		}
		switch {
		case text == "":
			a.error(a.rangeOf("checklist"), "Empty item", "Each item of the checklist says what somebody has to see to, such as \"On-call knows\".")
		case slices.Contains(all, text):
			a.error(a.rangeOf("checklist"), "Item twice", "The checklist has %q twice. Remove one.", text)
		default:
			all = append(all, text)
		}
	}
	return all
}

// loadScenarioBlock reads the block that names the game day.
func (l *loader) loadScenarioBlock() {
	all := l.blocks["scenario"]
	if len(all) == 0 {
		if !l.diags.HasErrors() {
			l.add(&hcl.Diagnostic{
				Severity: hcl.DiagError,
				Summary:  "No scenario block",
				Detail:   fmt.Sprintf("Nothing in %s says which game day this is. Add: scenario \"name\" { title = \"what it shows\" }.", l.scenario.Source),
			})
		}
		return
	}
	b := all[0]
	for _, other := range all[1:] {
		l.error(other.DefRange(), "Second scenario block", "The scenario is already named at %s, and a folder holds one. Remove one of the two, or move its files to a folder of their own.", place(b.DefRange()))
	}
	a := l.args(b, "a scenario block", l.root)
	a.only(append(slices.Clone(known["scenario"].arguments), "schedule"), []string{"schedule"})
	a.notYet("schedule")
	s := l.scenario
	s.Name = b.Labels[0]
	s.Title = a.str("title", "")
	s.Owner = a.str("owner", "")
	s.Environment = a.str("environment", "")
	s.Runbook = a.str("runbook", "")
	s.Checklist = a.checklist()
	s.Lease = a.duration("lease", DefaultLease, MinLease, 0)
	if v, ok := a.value("seed", cty.Number); ok {
		n, accuracy := v.AsBigFloat().Int64()
		if accuracy != 0 {
			l.error(a.rangeOf("seed"), "Invalid seed", "A seed is a whole number of at most 64 bits.")
		} else {
			s.Seed = &n
		}
	}
}

// enter says where the scenario is to run.
func (l *loader) enter() bool {
	if l.opts.Environment == nil {
		return true
	}
	err := l.opts.Environment(l.scenario.Environment)
	if err != nil {
		l.add(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Environment not usable", Detail: err.Error()})
	}
	return err == nil
}

// warnUnused points at blocks that nothing refers to: often the sign of a
// forgotten objective.
func (l *loader) warnUnused() {
	if l.diags.HasErrors() {
		return
	}
	for _, n := range []*namespace{l.probes, l.targets, l.steady} {
		for _, d := range n.order {
			if !d.used {
				l.warn(d.block.DefRange(), "Unused "+n.what(), "Nothing refers to %s. Remove it, or use it.", n.root+"."+d.name)
			}
		}
	}
}

// seconds is a duration as the language's numbers have it.
func seconds(d time.Duration) float64 { return d.Seconds() }
