package scenario

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/faultline-go/faultline/sdk/schema"
)

// builtin are the plugins of this repository; they are only used to guess what a
// mistyped name means.
var builtin = []string{"docker", "exec", "host", "http", "net", "process", "prometheus", "proxy", "tcp"}

// plugin is a plugin that some block needs. Its description is nil when it could
// not be had, which is reported once.
type plugin struct {
	description *schema.Description
	needed      hcl.Range        // the first block that needs it
	block       *hclsyntax.Block // its own block, if there is one
	need        Need             // what that block asks for
}

// plugin returns what a plugin offers. It asks for it the first time, and reports
// an error at the block that needed it then.
func (l *loader) plugin(name string, at hcl.Range) *plugin {
	if p := l.plugins[name]; p != nil {
		return p
	}
	p := &plugin{needed: at}
	l.plugins[name] = p
	if l.opts.Describe == nil {
		l.error(at, "No plugins", "The block needs the plugin %q, and there are no plugins here.", name)
		return p
	}
	d, err := l.opts.Describe(name)
	if err == nil && d == nil {
		err = fmt.Errorf("the plugin %q says nothing about itself", name)
	}
	if err != nil {
		hint := l.didYouMean(name, slices.DeleteFunc(slices.Clone(builtin), func(s string) bool { return s == name }))
		l.add(&hcl.Diagnostic{
			Severity: hcl.DiagError,
			Summary:  "Plugin not available",
			Detail:   fmt.Sprintf("The block needs the plugin %q: %s.%s", name, err, hint),
			Subject:  &at,
			Extra:    err,
		})
		return p
	}
	p.description = d
	return p
}

// offers lists the types of one kind that a plugin has.
func offers(d *schema.Description, kind string) []string {
	var all []string
	switch kind {
	case "fault":
		for _, x := range d.Faults {
			all = append(all, x.Type)
		}
	case "probe":
		for _, x := range d.Probes {
			all = append(all, x.Type)
		}
	case "action":
		for _, x := range d.Actions {
			all = append(all, x.Type)
		}
	case "target":
		for _, x := range d.Targets {
			all = append(all, x.Type)
		}
	}
	return all
}

// offered finds the plugin that serves the type of a block. It is nil when that is
// not possible, which is reported.
func (l *loader) offered(b *hclsyntax.Block, kind string) *plugin {
	typ := b.Labels[0]
	name := schema.PluginOf(typ)
	p := l.plugin(name, l.here(b.LabelRanges[0]))
	if p.description == nil {
		return nil
	}
	all := offers(p.description, kind)
	if slices.Contains(all, typ) {
		return p
	}
	hint := l.didYouMean(typ, all)
	if hint == "" {
		for _, other := range []string{"fault", "probe", "action", "target"} {
			if slices.Contains(offers(p.description, other), typ) {
				hint = fmt.Sprintf(" %q is a type of %s.", typ, other)
			}
		}
	}
	if len(all) > 0 && (hint == "" || len(all) > 1) && len(all) <= 20 {
		hint += " It has " + allOf(all) + "."
	}
	l.error(b.LabelRanges[0], "Unknown "+kind+" type", "The plugin %q has no %s %q.%s", name, kind, typ, hint)
	return nil
}

// loadPluginBlocks enters the plugin blocks. Their settings are read in listPlugins,
// when all that are needed are known.
func (l *loader) loadPluginBlocks() {
	first := map[string]*hclsyntax.Block{}
	for _, b := range l.blocks["plugin"] {
		name := b.Labels[0]
		if other := first[name]; other != nil {
			l.error(b.DefRange(), "Duplicate plugin", "The plugin %q is already set up at %s. Remove one of the two.", name, place(other.DefRange()))
			continue
		}
		first[name] = b
		if schema.PluginOf(name) != name {
			l.error(b.LabelRanges[0], "Invalid plugin name", "A plugin's name has no underscore: the type %q is served by the plugin %q.", name, schema.PluginOf(name))
			continue
		}
		need, ok := l.need(b)
		if b.Body.Attributes["source"] != nil && !(ok && l.installed(b, need)) {
			// Which binary is meant is not known: nothing is said about what it offers.
			l.plugins[name] = &plugin{needed: b.LabelRanges[0], block: b, need: need}
			continue
		}
		p := l.plugin(name, b.LabelRanges[0])
		p.block, p.need = b, need
	}
}

func (l *loader) installed(b *hclsyntax.Block, n Need) bool {
	if l.opts.Installed == nil {
		return true
	}
	err := l.opts.Installed(n)
	if err != nil {
		l.error(b.Body.Attributes["source"].Expr.Range(), "Plugin not installed", "The %s.", err)
	}
	return err == nil
}

// listPlugins lists every plugin that is needed, with its settings.
func (l *loader) listPlugins() {
	empty := &hclsyntax.Body{}
	for _, name := range sortedKeys(l.plugins) {
		p := l.plugins[name]
		out := Plugin{Name: name}
		body, at := empty, p.needed
		what := fmt.Sprintf("the settings of plugin %q", name)
		if p.block != nil {
			body, at, out.Pos = p.block.Body, header(p.block), place(p.block.TypeRange)
			out.Constraint, out.Source = p.need.Constraint, p.need.Source
			out.Environment = l.args(p.block, what, l.root).variables("environment")
		}
		if p.description == nil {
			continue
		}
		if check := l.opts.CheckVersion; check != nil && out.Constraint != "" {
			if err := check(p.description, out.Constraint); err != nil {
				l.error(at, "Wrong plugin version", "The %s.", err)
			}
		}
		d := decoder{l: l, ctx: l.root, what: what, meta: schema.PluginMeta, refuseSecrets: true}
		if p.block == nil {
			d.missing = fmt.Sprintf(" Add a block: plugin %q { … }.", name)
		}
		config, ok := d.decode(body, p.description.Settings, at)
		if !ok {
			continue
		}
		out.Settings = config
		l.scenario.Plugins = append(l.scenario.Plugins, out)
	}
}
