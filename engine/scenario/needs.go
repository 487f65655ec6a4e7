package scenario

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/faultline-go/faultline/engine/install/address"
	"github.com/faultline-go/faultline/internal/lazyregexp"
	"github.com/faultline-go/faultline/sdk/schema"
)

// Need is a plugin that a scenario asks for.
type Need struct {
	Name       string
	Source     address.Address // zero: the scenario does not say where it is from
	Constraint string          // "~> 0.1"; empty: any
	Pos        string          // "file:line" of what asks for it first
}

// Needs reads which plugins a scenario asks for, sorted by name: those of its plugin
// blocks and of the types in its other blocks. It needs no plugin and no variable, and
// says nothing about what else may be wrong. What an experiment of another source uses
// is not among them.
func Needs(path string) ([]Need, *Diagnostics) {
	files, err := readSources(path, nil)
	if err != nil {
		return nil, &Diagnostics{list: hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Cannot read the scenario", Detail: err.Error()}}}
	}
	return needs(path, files)
}

func needs(path string, files []*source) ([]Need, *Diagnostics) {
	l := newLoader(path, Options{})
	for _, f := range files {
		l.sources[f.path] = f
		for _, d := range f.parse() {
			l.add(d)
		}
	}
	found := map[string]Need{}
	if !l.diags.HasErrors() {
		l.collect(files)
		for _, b := range l.blocks["plugin"] {
			n, ok := l.need(b)
			if other := found[n.Name]; other.Name != "" {
				l.error(b.DefRange(), "Duplicate plugin", "The plugin %q is already set up at %s. Remove one of the two.", n.Name, other.Pos)
			} else if ok {
				found[n.Name] = n
			}
		}
		for _, kind := range []string{"probe", "target", "experiment"} {
			for _, b := range l.blocks[kind] {
				l.uses(b, found)
			}
		}
	}
	sortByPlace(l.diags)
	d := &Diagnostics{list: l.diags, sources: l.sources}
	if d.HasErrors() {
		return nil, d
	}
	var all []Need
	for _, name := range sortedKeys(found) {
		all = append(all, found[name])
	}
	return all, d
}

// uses enters the plugins of the types in a block and in those inside it.
func (l *loader) uses(b *hclsyntax.Block, found map[string]Need) {
	if slices.Contains([]string{"probe", "target", "fault", "action"}, b.Type) && len(b.Labels) > 0 {
		name := schema.PluginOf(b.Labels[0])
		if _, known := found[name]; !known {
			found[name] = Need{Name: name, Pos: place(b.DefRange())}
		}
	}
	for _, inner := range b.Body.Blocks {
		l.uses(inner, found)
	}
}

var constraint = lazyregexp.New(`^\s*(=|!=|>|>=|<|<=|~>)?\s*v?[0-9]+(\.[0-9]+){0,2}(-[0-9A-Za-z.-]+)?\s*(,\s*(=|!=|>|>=|<|<=|~>)?\s*v?[0-9]+(\.[0-9]+){0,2}(-[0-9A-Za-z.-]+)?\s*)*$`)

// need reads what a plugin block asks for. A block with a source is read before there
// is any plugin and any value of a variable, so that both arguments are plain then.
func (l *loader) need(b *hclsyntax.Block) (n Need, ok bool) {
	n = Need{Name: b.Labels[0], Pos: place(b.DefRange())}
	version, source := b.Body.Attributes["version"], b.Body.Attributes["source"]
	if source != nil {
		text, plain := l.plain(source)
		if !plain {
			return n, false
		}
		a, err := address.Parse(text)
		switch {
		case err != nil:
			l.error(source.Expr.Range(), "Invalid source", "%s.", upperFirst(err.Error()))
			return n, false
		case a.Name != n.Name:
			l.error(source.Expr.Range(), "Wrong source", "This is the plugin %q, and the block is about %q. The last part of a source is the plugin's name.", a.Name, n.Name)
			return n, false
		}
		n.Source = a
	}
	switch {
	case version == nil:
		return n, true
	case source != nil:
		n.Constraint, ok = l.plain(version)
	case l.root == nil: // nobody asks which version of our own it is before all is loaded
		return n, true
	default:
		a := l.args(b, "", l.root)
		n.Constraint = a.str("version", "")
		ok = !a.bad
	}
	if ok && n.Constraint != "" && !constraint().MatchString(n.Constraint) {
		l.error(version.Expr.Range(), "Invalid version constraint", `%q is not a version constraint, such as "~> 0.1" or ">= 0.2, < 1.0".`, n.Constraint)
		n.Constraint, ok = "", false
	}
	return n, ok
}

// plain is a text in which nothing is referred to.
func (l *loader) plain(a *hclsyntax.Attribute) (string, bool) {
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() || v.IsNull() || v.Type() != cty.String {
		l.error(a.Expr.Range(), "Not a plain text", "What is installed is read from here before anything else: write %q as a text in quotes, without variables.", a.Name)
		return "", false
	}
	return v.AsString(), true
}
