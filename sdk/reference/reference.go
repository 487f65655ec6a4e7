// Package reference explains what a plugin offers, from its description: as text for a
// terminal, and as a page in Markdown. It adds no words of its own to what the plugin's
// author wrote but those that hold for every plugin.
package reference

import (
	"strings"

	"github.com/faultline-go/faultline/sdk/schema"
)

// Type is one type with everything that its help shows. A name may stand for more than
// one, such as a fault and a probe.
type Type struct {
	Kind    string             `json:"kind"` // fault, probe, action, target
	Type    string             `json:"type"`
	Doc     string             `json:"doc"`
	Facts   []string           `json:"facts,omitempty"` // go on a sentence that begins with "it"
	Body    schema.Body        `json:"arguments"`
	Meta    []string           `json:"engine_arguments,omitempty"`
	Results []schema.Attribute `json:"results,omitempty"` // of a sample, or a candidate
}

// Names lists the types of a plugin: faults, probes, actions, targets; each name once.
func Names(d *schema.Description) []string {
	seen := map[string]bool{}
	var out []string
	add := func(typ string) {
		if !seen[typ] {
			seen[typ] = true
			out = append(out, typ)
		}
	}
	for _, x := range d.Faults {
		add(x.Type)
	}
	for _, x := range d.Probes {
		add(x.Type)
	}
	for _, x := range d.Actions {
		add(x.Type)
	}
	for _, x := range d.Targets {
		add(x.Type)
	}
	return out
}

// Types are those of a name; none when the plugin does not have it.
func Types(d *schema.Description, name string) []Type {
	var out []Type
	if f := d.Fault(name); f != nil {
		out = append(out, Type{Kind: "fault", Type: name, Doc: f.Doc, Facts: faultFacts(f), Body: f.Config, Meta: schema.FaultMeta})
	}
	if p := d.Probe(name); p != nil {
		results := append(append([]schema.Attribute{}, schema.SampleCore...), p.Sample...)
		out = append(out, Type{Kind: "probe", Type: name, Doc: p.Doc, Facts: mayFacts(p.Capabilities), Body: p.Config, Meta: schema.ProbeMeta, Results: results})
	}
	if a := d.Action(name); a != nil {
		out = append(out, Type{Kind: "action", Type: name, Doc: a.Doc, Facts: mayFacts(a.Capabilities), Body: a.Config, Meta: schema.ActionMeta})
	}
	if t := d.Target(name); t != nil {
		out = append(out, Type{
			Kind: "target", Type: name, Doc: t.Doc, Facts: append([]string{"is a " + strings.Join(t.Interfaces, ", ")}, mayFacts(t.Capabilities)...), Body: t.Match, Results: t.Attributes,
		})
	}
	return out
}

func faultFacts(f *schema.Fault) []string {
	var accepts []string
	for _, a := range f.Accepts {
		accepts = append(accepts, a.Interface)
	}
	facts := []string{
		"accepts targets of interface " + strings.Join(accepts, " or "),
		"is " + strings.ReplaceAll(string(f.Reversibility), "_", "-"), hold(f.Hold),
	}
	if len(f.Requires) > 0 {
		facts = append(facts, "needs "+strings.Join(f.Requires, ", "))
	}
	return append(facts, mayFacts(f.Capabilities)...)
}

// mayFacts say what a type may do.
func mayFacts(all []schema.Capability) []string {
	if len(all) == 0 {
		return nil
	}
	words := make([]string, len(all))
	for i, c := range all {
		words[i] = string(c)
	}
	return []string{"has the capabilities " + strings.Join(words, ", ") + ", which a policy may deny"}
}

func hold(h schema.Hold) string {
	switch h {
	case schema.HoldKernel:
		return "is ended by the kernel when nobody holds it"
	case schema.HoldTarget:
		return "is ended by a helper at the target when nobody holds it"
	default:
		return "is put back by the next `faultline recover` when everybody died"
	}
}

// times says how often a block may stand there.
func times(b schema.Block) string {
	switch {
	case b.Max == 1 && b.Min == 1:
		return "required"
	case b.Max == 1:
		return "optional"
	}
	return "any number"
}
