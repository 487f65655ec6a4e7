package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/faultline-go/faultline/engine/trust"
	"github.com/faultline-go/faultline/sdk/schema"
)

// Policy is what the operators of an environment allow there, whatever a scenario
// says. It can only tighten: a plan keeps to the scenario's limits and to these.
//
//	environment "production" {
//	  plugins = ["docker", "http"]
//	  faults  = ["docker_kill"]
//	  deny_capabilities = ["exec", "net_admin"]
//	  trust   = ["builtin", "locked"]
//	  limits { max_targets = 1 }
//	}
type Policy struct {
	Source  string   // the file
	Plugins []string // allowed; empty: all
	Faults  []string // allowed types; empty: all
	Limits  Limits

	DenyCapabilities []schema.Capability // what no type may need
	Trust            []trust.Basis       // on what grounds plugins may start; empty: on all
}

// LoadPolicy reads the policy of an environment from the *.hcl files of a folder. It
// returns nil when there is no such folder, or it says nothing about the environment;
// others are the environments that it does say something about. A policy that cannot be
// read is an error: nobody may slip through a broken fence.
func LoadPolicy(dir, environment string) (found *Policy, others []string, err error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("read the policy folder: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".hcl") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		text, err := readBounded(path)
		if err != nil {
			return nil, nil, err
		}
		p, more, diags := readPolicy(&source{path: path, text: text}, environment)
		others = append(others, more...)
		if diags.HasErrors() {
			var b strings.Builder
			_ = diags.Write(&b, 0, false) // a Builder takes everything
			return nil, nil, fmt.Errorf("the policy in %s cannot be read:\n%s", path, b.String())
		}
		switch {
		case p == nil:
		case found != nil:
			return nil, nil, fmt.Errorf("the policy of environment %q is given twice, in %s and %s: keep one of them", environment, found.Source, p.Source)
		default:
			found = p
		}
	}
	return found, others, nil
}

// readPolicy reads every environment of a file, so that a mistake in any of them is
// found, and returns the one that was asked for, and the names of the others.
func readPolicy(s *source, environment string) (found *Policy, others []string, _ *Diagnostics) {
	l := &loader{
		sources:   map[string]*source{s.path: s},
		said:      map[saying]bool{},
		functions: &hcl.EvalContext{Functions: functions()},
	}
	l.root = l.functions.NewChild()
	for _, d := range s.parse() {
		l.add(d)
	}
	for _, attr := range s.loose {
		l.error(attr.NameRange, "Unknown argument", "A policy file has blocks of the form: environment \"name\" { … }.")
	}
	for _, b := range s.blocks {
		if b.Type != "environment" {
			l.error(b.TypeRange, "Unknown block", "A policy file has blocks of the form: environment \"name\" { … }.%s", l.didYouMean(b.Type, []string{"environment"}))
			continue
		}
		if len(b.Labels) != 1 {
			l.error(b.TypeRange, "Wrong number of labels", "The block is written: environment \"name\" { … }.")
			continue
		}
		p := l.policy(b)
		if b.Labels[0] != environment {
			others = append(others, b.Labels[0])
			continue
		}
		if found != nil {
			l.error(b.DefRange(), "Second policy", "Environment %q has a policy in this file already. Keep one of the two.", environment)
		}
		found = p
		found.Source = s.path
	}
	return found, others, &Diagnostics{list: l.diags, sources: l.sources}
}

func (l *loader) policy(b *hclsyntax.Block) *Policy {
	a := l.args(b, "an environment block", l.root)
	a.knows("environment")
	p := &Policy{
		Plugins: a.names("plugins"), Faults: a.names("faults"),
		DenyCapabilities: words(a, "deny_capabilities", "capability", "capabilities", schema.Capabilities()),
		Trust:            words(a, "trust", "ground", "grounds", trust.Bases()),
	}
	l.scenario = &Scenario{}
	l.blocks = map[string][]*hclsyntax.Block{}
	for _, inner := range b.Body.Blocks {
		l.blocks[inner.Type] = append(l.blocks[inner.Type], inner)
	}
	l.loadLimits()
	p.Limits = l.scenario.Limits
	return p
}

// words reads a list of words of a closed vocabulary. A word that is none is refused: what
// was meant would not be denied, or allowed.
func words[T ~string](a *args, name, one, several string, all []T) []T {
	known := vocabulary(all)
	v, ok := a.value(name, cty.List(cty.String))
	if !ok {
		return nil
	}
	var out []T
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		word := ""
		if !e.IsNull() {
			word = e.AsString()
		}
		if !slices.Contains(known, word) {
			a.error(a.rangeOf(name), "Unknown "+one, "There is no %s %q.%s The %s are %s.", one, word, a.l.didYouMean(word, known), several, strings.Join(known, ", "))
			continue
		}
		out = append(out, T(word))
	}
	if v.LengthInt() == 0 {
		a.error(a.rangeOf(name), "Empty list", "An empty list says nothing. Leave %s out.", name)
	}
	return out
}

// names reads a list of names. An empty one is refused: it would read as "none" and
// mean "all".
func (a *args) names(name string) []string {
	v, ok := a.value(name, cty.List(cty.String))
	if !ok {
		return nil
	}
	var out []string
	for it := v.ElementIterator(); it.Next(); {
		if _, e := it.Element(); !e.IsNull() {
			out = append(out, e.AsString())
		}
	}
	if len(out) == 0 {
		a.error(a.rangeOf(name), "Empty list", "Nothing is allowed by an empty list. Leave %s out to allow everything.", name)
	}
	return out
}
