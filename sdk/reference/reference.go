// Package reference explains what a plugin offers, from its description: as text for a
// terminal, and as a page in Markdown. It adds no words of its own to what the plugin's
// author wrote but those that hold for every plugin.
package reference

import (
	"fmt"
	"strconv"
	"strings"
	"time"

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
	Example string             `json:"example"`           // a whole block in HCL
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
		out = append(out, Type{Kind: "fault", Type: name, Doc: f.Doc, Facts: faultFacts(f), Body: f.Config, Meta: schema.FaultMeta, Example: faultExample(d, f)})
	}
	if p := d.Probe(name); p != nil {
		results := append(append([]schema.Attribute{}, schema.SampleCore...), p.Sample...)
		out = append(out, Type{Kind: "probe", Type: name, Doc: p.Doc, Facts: mayFacts(p.Capabilities), Body: p.Config, Meta: schema.ProbeMeta, Results: results, Example: blockExample("probe", name, nil, p.Config, p.Example)})
	}
	if a := d.Action(name); a != nil {
		out = append(out, Type{Kind: "action", Type: name, Doc: a.Doc, Facts: mayFacts(a.Capabilities), Body: a.Config, Meta: schema.ActionMeta, Example: blockExample("action", name, nil, a.Config, a.Example)})
	}
	if t := d.Target(name); t != nil {
		out = append(out, Type{
			Kind: "target", Type: name, Doc: t.Doc, Facts: append([]string{"is a " + strings.Join(t.Interfaces, ", ")}, mayFacts(t.Capabilities)...), Body: t.Match, Results: t.Attributes,
			Example: targetExample(t),
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
	s := "any number"
	switch {
	case b.Max == 1 && b.Min == 1:
		s = "required"
	case b.Max == 1:
		s = "optional"
	case b.Min > 0 && b.Max > 0:
		s = fmt.Sprintf("%d to %d", b.Min, b.Max)
	case b.Min > 0:
		s = fmt.Sprintf("%d at least", b.Min)
	case b.Max > 0:
		s = fmt.Sprintf("%d at most", b.Max)
	}
	return s
}

// head is how a block begins.
func head(b schema.Block) string {
	if b.Label != "" {
		return fmt.Sprintf("%s %q", b.Name, b.Label)
	}
	return b.Name
}

// terms says what else holds for an argument.
func terms(a schema.Attribute) string {
	var all []string
	add := func(format string, values ...any) { all = append(all, fmt.Sprintf(format, values...)) }
	if a.Whole {
		add("whole")
	}
	switch {
	case a.IsPercent():
		add("per cent")
	case a.Unit != "":
		add("%s", a.Unit)
	}
	if a.Required {
		add("required")
	}
	if a.Default != nil && a.Default != "" {
		add("default %s", value(a.Default))
	}
	if len(a.Enum) > 0 {
		quoted := make([]string, len(a.Enum))
		for i, v := range a.Enum {
			quoted[i] = value(v)
		}
		add("one of %s", strings.Join(quoted, " "))
	}
	_, scalar, _ := schema.Elements(a.Type)
	least, most := a.Bounds()
	if scalar != "number" {
		least = a.Min // that a duration is not below 0 goes without saying
	}
	switch {
	case least != nil && most != nil:
		add("%s to %s", bound(scalar, *least), bound(scalar, *most))
	case least != nil:
		add("at least %s", bound(scalar, *least))
	case most != nil:
		add("at most %s", bound(scalar, *most))
	}
	switch {
	case a.MinItems > 0 && a.MaxItems > 0:
		add("%d to %d of them", a.MinItems, a.MaxItems)
	case a.MinItems > 0:
		add("at least %d of them", a.MinItems)
	case a.MaxItems > 0:
		add("at most %d of them", a.MaxItems)
	}
	if a.Pattern != "" {
		add("of the form %s", a.Pattern)
	}
	if a.Sensitive {
		add("sensitive")
	}
	if len(all) == 0 {
		return ""
	}
	return ", " + strings.Join(all, ", ")
}

// meaning is what an argument is for, and what to use in its place.
func meaning(a schema.Attribute) string {
	if a.Deprecated == "" {
		return a.Doc
	}
	return strings.TrimSpace(a.Doc + " Deprecated: " + strings.TrimSuffix(a.Deprecated, ".") + ".")
}

func bound(scalar string, f float64) string {
	switch scalar {
	case "duration":
		s := time.Duration(f * float64(time.Second)).String()
		s = strings.TrimSuffix(s, "0s")
		if strings.HasSuffix(s, "h0m") {
			s = strings.TrimSuffix(s, "0m")
		}
		if s == "" || !strings.ContainsAny(s[len(s)-1:], "smh") {
			s += "0s" // it was a number of seconds that ends with 0
		}
		return s
	case "size", "amount":
		return schema.FormatSize(f)
	case "rate":
		return schema.FormatRate(f)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// rule says in words what holds between arguments and blocks.
func rule(r schema.Rule) string {
	of := strings.Join(r.Of, ", ")
	switch r.Kind {
	case schema.ExactlyOne:
		return "Exactly one is given of " + of + "."
	case schema.AtMostOne:
		return "At most one is given of " + of + "."
	case schema.AtLeastOne:
		return "At least one is given of " + of + "."
	}
	return of + " are given together, or not at all."
}

// rules are those of a body, its nested blocks included.
func rules(b schema.Body, prefix string) []string {
	var all []string
	for _, r := range b.Rules {
		of := make([]string, len(r.Of))
		for i, name := range r.Of {
			of[i] = prefix + name
		}
		all = append(all, rule(schema.Rule{Kind: r.Kind, Of: of}))
	}
	for _, k := range b.Blocks {
		all = append(all, rules(k.Body, prefix+k.Name+".")...)
	}
	return all
}
