package sdk

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"

	"github.com/faultline-go/faultline/sdk/schema"
)

var localName = regexp.MustCompile(`^[a-z0-9]+$`)

// Describe says what a plugin offers, or what is wrong with it. It looks at nothing
// but p.
func Describe(p Plugin) (*schema.Description, error) {
	if !localName.MatchString(p.Name) {
		return nil, fmt.Errorf("plugin name %q: use lower-case letters and digits only", p.Name)
	}
	seen := map[string]bool{}
	once := func(typ string) error {
		if seen[typ] {
			return fmt.Errorf("%s is offered twice", typ)
		}
		seen[typ] = true
		return nil
	}
	d := &schema.Description{Format: schema.Version, Name: p.Name, Version: p.Version, Doc: p.Doc, Environment: p.Environment}
	if p.Settings.body != nil {
		var err error
		if d.Settings, err = p.Settings.body(); err != nil {
			return nil, fmt.Errorf("settings: %w", err)
		}
		if err := free("settings", d.Settings, schema.PluginMeta); err != nil {
			return nil, err
		}
	}
	for _, v := range p.Environment {
		if err := schema.CheckVariable(v.Name); err != nil {
			return nil, fmt.Errorf("environment: %w", err)
		}
	}
	for _, f := range p.Faults {
		x, err := f.describe()
		if err := cmp.Or(err, free(x.Type, x.Config, schema.FaultMeta), known(x.Type, x.Capabilities), ours(p, x.Type), once("fault "+x.Type)); err != nil {
			return nil, err
		}
		d.Faults = append(d.Faults, x)
	}
	for _, q := range p.Probes {
		x, err := q.describe()
		if err := cmp.Or(err, free(x.Type, x.Config, schema.ProbeMeta), known(x.Type, x.Capabilities), ours(p, x.Type), once("probe "+x.Type)); err != nil {
			return nil, err
		}
		d.Probes = append(d.Probes, x)
	}
	for _, a := range p.Actions {
		x, err := a.describe()
		if err := cmp.Or(err, free(x.Type, x.Config, schema.ActionMeta), known(x.Type, x.Capabilities), ours(p, x.Type), once("action "+x.Type)); err != nil {
			return nil, err
		}
		d.Actions = append(d.Actions, x)
	}
	for _, t := range p.Targets {
		x, err := t.describe()
		if err := cmp.Or(err, known(x.Type, x.Capabilities), ours(p, x.Type), once("target "+x.Type)); err != nil {
			return nil, err
		}
		d.Targets = append(d.Targets, x)
	}
	slices.SortFunc(d.Faults, func(a, b schema.Fault) int { return cmp.Compare(a.Type, b.Type) })
	slices.SortFunc(d.Probes, func(a, b schema.Probe) int { return cmp.Compare(a.Type, b.Type) })
	slices.SortFunc(d.Actions, func(a, b schema.Action) int { return cmp.Compare(a.Type, b.Type) })
	slices.SortFunc(d.Targets, func(a, b schema.Target) int { return cmp.Compare(a.Type, b.Type) })
	return d, nil
}

// known checks that capabilities are words that everybody knows.
func known(typ string, all []schema.Capability) error {
	for _, c := range all {
		if c.Doc() == "" {
			return fmt.Errorf("%s: there is no capability %q; there are %q", typ, c, schema.Capabilities())
		}
	}
	return nil
}

// ours checks that a type leads back to the plugin.
func ours(p Plugin, typ string) error {
	if schema.PluginOf(typ) != p.Name {
		return fmt.Errorf("type %q: types of plugin %s are called %q or start with %q", typ, p.Name, p.Name, p.Name+"_")
	}
	return nil
}

// free checks that a body leaves the engine's own arguments alone.
func free(typ string, b schema.Body, meta []string) error {
	for _, name := range meta {
		if b.Attribute(name) != nil || b.Block(name) != nil {
			return fmt.Errorf("%s: argument %q belongs to the engine; choose another name", typ, name)
		}
	}
	return nil
}
