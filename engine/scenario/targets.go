package scenario

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/faultline-go/faultline/sdk/schema"
)

// candidateCore are the fields that every candidate has, whatever its kind reports.
var candidateCore = []schema.Attribute{
	{Name: "id", Type: "string", Doc: "which it is: the same after a restart"},
	{Name: "name", Type: "string", Doc: "what people call it"},
}

func (l *loader) loadTargets() {
	for _, d := range l.targets.order {
		p := l.offered(d.block, "target")
		if p == nil {
			d.broken = true
		}
		for _, i := range l.forEach(d, l.root) {
			if p == nil {
				continue
			}
			if t := l.loadTarget(d, i, p.description.Target(d.block.Labels[0])); t != nil {
				l.scenario.Targets = append(l.scenario.Targets, t)
				l.targetOf[t.Name] = t
				t.Name = l.prefix + t.Name
			}
		}
	}
}

func (l *loader) loadTarget(d *declared, i instance, kind *schema.Target) *Target {
	a := l.args(d.block, "a target block", i.ctx)
	a.knows("target")
	t := &Target{
		Name:    d.nameOf(i),
		Type:    kind.Type,
		Plugin:  schema.PluginOf(kind.Type),
		Pick:    Pick{Count: 1},
		OnEmpty: a.enum("on_empty", "fail", "fail", "skip"),
		Pos:     l.pos(d.block.TypeRange),
	}
	match, at := &hclsyntax.Body{}, header(d.block)
	dec := decoder{l: l, ctx: i.ctx, what: fmt.Sprintf("the match block of a target %q", kind.Type)}
	if b := a.single("match"); b != nil {
		match, at = b.Body, header(b)
	} else {
		dec.missing = " Add a block: match { … }."
	}
	config, ok := dec.decode(match, kind.Match, at)
	t.Match = config
	a.bad = a.bad || !ok

	for _, b := range d.block.Body.Blocks {
		if b.Type != "filter" {
			continue
		}
		f := l.args(b, "a filter block", i.ctx)
		f.knows("target/filter")
		if !l.labelled(b, nil) || !f.require("condition", `condition = candidate.name != "db"`) {
			a.bad = true
			continue
		}
		if filter := l.compileFilter(b.Body.Attributes["condition"].Expr, i.ctx, kind); filter != nil {
			t.Filters = append(t.Filters, filter)
		}
		a.bad = a.bad || f.bad
	}
	if b := a.single("pick"); b != nil {
		p := l.args(b, "a pick block", i.ctx)
		t.Pick = l.loadPick(p, kind)
		a.bad = a.bad || p.bad
	}
	if a.bad {
		return nil
	}
	return t
}

func (l *loader) loadPick(a *args, kind *schema.Target) Pick {
	a.knows("target/pick")
	var forms []string
	for _, name := range []string{"count", "percent", "all", "groups"} {
		if a.has(name) {
			forms = append(forms, name)
		}
	}
	if len(forms) > 1 {
		a.error(a.body.Attributes[forms[1]].NameRange, "Two ways to pick", "%s and %s both say how many are picked. Keep one of them.", forms[0], forms[1])
		return Pick{}
	}
	if a.has("group_by") && !a.has("groups") {
		a.error(a.body.Attributes["group_by"].NameRange, "group_by without groups", `group_by needs the number of groups, as in: pick { groups = 1, group_by = "zone" }, each on a line of its own.`)
		return Pick{}
	}
	if len(forms) == 0 {
		return Pick{Count: 1}
	}
	p := Pick{}
	many := true
	switch at := a.rangeOf(forms[0]); forms[0] {
	case "count":
		p.Count = a.whole("count", 1, 1)
		many = p.Count > 1
	case "percent":
		p.Percent = a.percent("percent")
	case "all":
		p.All = a.boolean("all", true)
		if !p.All && !a.bad {
			a.error(at, "Nothing picked", "all = false picks nothing. Leave it out for one target, or give a count.")
		}
	case "groups":
		p.Groups = a.whole("groups", 1, 1)
		if a.require("group_by", `group_by = "zone"`) {
			p.GroupBy = l.groupBy(a, kind)
		}
	}
	if many && !a.bad && !l.limited() {
		a.error(l.here(a.at), "No limits", "This may pick more than one target, and nothing says how many may be touched at most. Add a block such as: limits { max_targets = 3 }.")
	}
	return p
}

// limited says whether the scenario has limits, good or bad.
func (l *loader) limited() bool {
	if l.used != nil {
		l = l.used.by
	}
	return len(l.blocks["limits"]) > 0
}

// groupBy reads the name of an attribute, or of an entry of one that is a map.
func (l *loader) groupBy(a *args, kind *schema.Target) string {
	name := a.str("group_by", "")
	base, entry, dotted := strings.Cut(name, ".")
	var names []string
	for _, x := range candidateFields(kind) {
		names = append(names, x.Name)
		if x.Name == base && (!dotted || entry != "" && x.Type == "map(string)") {
			return name
		}
	}
	slices.Sort(names)
	a.error(a.rangeOf("group_by"), "Unknown attribute", "A target %q has no attribute %q.%s", kind.Type, name, a.meant(name, names, nil))
	return ""
}

// candidateFields are what a filter may read of a kind of target.
func candidateFields(kind *schema.Target) []schema.Attribute {
	all := slices.Clone(kind.Attributes)
	for _, core := range candidateCore {
		if !slices.ContainsFunc(all, func(x schema.Attribute) bool { return x.Name == core.Name }) {
			all = append(all, core)
		}
	}
	return all
}

// CandidateCore are the fields that every candidate has.
func CandidateCore() []schema.Attribute { return slices.Clone(candidateCore) }
