package host

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/hashicorp/go-version"

	"github.com/faultline-go/faultline/sdk/schema"
)

// CheckVersion says whether a plugin's version satisfies a scenario's constraint
// ("~> 0.1", ">= 1.2, < 2"). An empty constraint is satisfied by all.
func CheckVersion(d *schema.Description, constraint string) error {
	if constraint == "" {
		return nil
	}
	c, err := version.NewConstraint(constraint)
	if err != nil {
		return fmt.Errorf("plugin %s: version constraint %q cannot be read; write it like \"~> 0.1\" or \">= 1.2, < 2\"", d.Name, constraint)
	}
	v, err := version.NewSemver(d.Version)
	if err != nil {
		return fmt.Errorf("plugin %s says it has version %q, which is no semantic version", d.Name, d.Version)
	}
	if !c.Check(v) {
		return fmt.Errorf("plugin %s has version %s, the scenario wants %q: install another version of %s%s, or change the constraint", d.Name, d.Version, constraint, Prefix, d.Name)
	}
	return nil
}

// check looks whether a description makes sense for the plugin of that name: the SDK
// sees to it, but a plugin may be written without the SDK. What comes after the host
// need not look again.
func check(d *schema.Description, name string) error {
	if d == nil || d.Format < 1 {
		return fmt.Errorf("plugin %s does not describe itself", name)
	}
	if d.Format > schema.Version {
		return fmt.Errorf("plugin %s describes itself in format %d, newer than this faultline reads (%d): upgrade faultline", name, d.Format, schema.Version)
	}
	if d.Name != name {
		return &NameError{Want: name, Says: d.Name}
	}
	if _, err := version.NewSemver(d.Version); err != nil {
		return fmt.Errorf("plugin %s says it has version %q, which is no semantic version", name, d.Version)
	}
	c := checker{name: name, seen: map[string]bool{}}
	c.body("settings", d.Settings, schema.PluginMeta)
	for _, v := range d.Environment {
		if err := schema.CheckVariable(v.Name); err != nil {
			c.failf("environment: %s", err)
		}
	}
	for _, f := range d.Faults {
		c.typ("fault", f.Type)
		c.capabilities(f.Type, f.Capabilities)
		c.body(f.Type, f.Config, schema.FaultMeta)
		if !slices.Contains([]schema.Hold{schema.HoldKernel, schema.HoldTarget, schema.HoldProcess, schema.HoldJournal}, f.Hold) {
			c.failf("%s: hold %q is unknown", f.Type, f.Hold)
		}
		if !slices.Contains([]schema.Reversibility{schema.Reversible, schema.SelfHealing, schema.Irreversible}, f.Reversibility) {
			c.failf("%s: reversibility %q is unknown", f.Type, f.Reversibility)
		}
		if f.RevertMS <= 0 || f.Concurrency <= 0 || len(f.Accepts) == 0 {
			c.failf("%s: revert_ms, concurrency and accepts must be there", f.Type)
		}
	}
	for _, p := range d.Probes {
		c.typ("probe", p.Type)
		c.capabilities(p.Type, p.Capabilities)
		c.body(p.Type, p.Config, schema.ProbeMeta)
		for _, a := range p.Sample {
			if slices.ContainsFunc(schema.SampleCore, func(core schema.Attribute) bool { return core.Name == a.Name }) {
				c.failf("%s: every sample has %q already", p.Type, a.Name)
			}
			if !slices.Contains([]string{"string", "number", "bool"}, a.Type) {
				c.failf("%s: the samples have a field %q of type %q", p.Type, a.Name, a.Type)
			}
		}
	}
	for _, a := range d.Actions {
		c.typ("action", a.Type)
		c.capabilities(a.Type, a.Capabilities)
		c.body(a.Type, a.Config, schema.ActionMeta)
	}
	for _, t := range d.Targets {
		c.typ("target", t.Type)
		c.capabilities(t.Type, t.Capabilities)
		c.body(t.Type, t.Match, nil)
		c.body(t.Type, schema.Body{Attributes: t.Attributes}, nil)
	}
	return c.err
}

// checker keeps the first thing that is wrong.
type checker struct {
	name string
	seen map[string]bool
	err  error
}

func (c *checker) failf(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("plugin %s describes itself wrongly: %s; tell its author", c.name, fmt.Sprintf(format, args...))
	}
}

var typeName = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)

func (c *checker) typ(what, typ string) {
	if !typeName.MatchString(typ) {
		c.failf("%s %q: the names of types have lower-case letters, digits and single underscores", what, typ)
	}
	if schema.PluginOf(typ) != c.name {
		c.failf("%s %q: its types must be called %q or start with %q", what, typ, c.name, c.name+"_")
	}
	if c.seen[what+" "+typ] {
		c.failf("%s %q is there twice", what, typ)
	}
	c.seen[what+" "+typ] = true
}

// capabilities refuses what this faultline does not know: a policy could not deny it.
func (c *checker) capabilities(typ string, all []schema.Capability) {
	for _, x := range all {
		if x.Doc() == "" && c.err == nil {
			c.err = fmt.Errorf("plugin %s: %s needs the capability %q, which this faultline does not know and no policy could deny: upgrade faultline, or tell the plugin's author", c.name, typ, x)
		}
	}
}

func (c *checker) body(typ string, b schema.Body, meta []string) {
	for _, name := range meta {
		if b.Attribute(name) != nil || b.Block(name) != nil {
			c.failf("%s: argument %q belongs to the engine", typ, name)
		}
	}
	if why := b.Wrong(); why != "" {
		c.failf("%s: %s", typ, why)
	}
}
