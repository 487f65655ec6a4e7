package scenario

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// origin is where a configuration stands.
type origin struct {
	l    *loader
	body *hclsyntax.Body
	at   hcl.Range
	ctx  *hcl.EvalContext
	what string
}

// Refusal is what a plugin has against a configuration that the schema allows.
type Refusal struct {
	Plugin string
	Config Config
	Path   string // of the argument: "restart.command[1]"; empty: the configuration as a whole
	Text   string // what is wrong, in the plugin's words
}

// Refuse makes diagnostics of refusals, each at its place in the files that the scenario
// was loaded from.
func (s *Scenario) Refuse(all []Refusal) *Diagnostics {
	if s.loader == nil {
		d := &Diagnostics{}
		for _, r := range all {
			d.list = append(d.list, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: refusedSummary, Detail: r.sentence("its configuration", "")})
		}
		return d
	}
	l := s.loader
	l.diags, l.said = nil, map[saying]bool{}
	for _, r := range all {
		if o := r.Config.origin; o != nil {
			o.l.error(o.find(r.Path), refusedSummary, "%s", r.sentence(o.what, o.instance()))
		}
	}
	hide(l.diags, s.Sensitive)
	sortByPlace(l.diags)
	return &Diagnostics{list: l.diags, sources: l.sources}
}

const refusedSummary = "Refused by the plugin"

func (r Refusal) sentence(what, instance string) string {
	text := trimStop(strings.TrimSpace(r.Text))
	if r.Path == "" {
		return fmt.Sprintf("The plugin %q refuses %s%s: %s.", r.Plugin, what, instance, text)
	}
	return fmt.Sprintf("The plugin %q refuses %s of %s%s: %s.", r.Plugin, r.Path, what, instance, text)
}

func (o *origin) find(path string) hcl.Range { return find(o.body, stepsOf(path), o.at, o.ctx) }

// instance says of which round of for_each a configuration is.
func (o *origin) instance() string {
	for ctx := o.ctx; ctx != nil; ctx = ctx.Parent() {
		if each, ok := ctx.Variables["each"]; ok {
			if key := each.GetAttr("key"); key.Type() == cty.String && key.IsKnown() && !key.IsNull() && !key.IsMarked() {
				return fmt.Sprintf(" (for each.key = %q)", key.AsString())
			}
		}
	}
	return ""
}
