package scenario

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// laterBlocks are in the language but not in this version of faultline.
var laterBlocks = []string{"slo", "notify"}

// namespace is the set of blocks that one kind of reference can mean.
type namespace struct {
	root   string // "probe"
	labels int    // of a reference: probe.TYPE.NAME has 2
	all    map[string]*declared
	order  []*declared
}

// declared is a named block, with the instances that for_each makes of it.
type declared struct {
	name    string // "http.checkout"
	block   *hclsyntax.Block
	forEach bool
	keys    []string // of for_each, sorted
	hasKey  map[string]bool
	used    bool
	broken  bool // it could not be read; references to it say nothing more
}

func newNamespace(root string, labels int) *namespace {
	return &namespace{root: root, labels: labels, all: map[string]*declared{}}
}

// what is the kind in words: "steady state".
func (n *namespace) what() string { return strings.ReplaceAll(n.root, "_", " ") }

// example is what a reference looks like.
func (n *namespace) example() string {
	if len(n.order) > 0 {
		d := n.order[0]
		if d.forEach && len(d.keys) > 0 {
			return n.root + "." + instanceName(d.name, d.keys[0])
		}
		return n.root + "." + d.name
	}
	if n.labels == 2 {
		return n.root + ".TYPE.NAME"
	}
	return n.root + ".NAME"
}

func (n *namespace) names() []string {
	all := make([]string, len(n.order))
	for i, d := range n.order {
		all[i] = d.name
	}
	return all
}

// instances are the names of what a block became.
func (d *declared) instances() []string {
	if !d.forEach {
		return []string{d.name}
	}
	all := make([]string, len(d.keys))
	for i, k := range d.keys {
		all[i] = instanceName(d.name, k)
	}
	return all
}

func instanceName(name, key string) string { return fmt.Sprintf("%s[%q]", name, key) }

// collect sorts the top-level blocks of all files by type, and enters those that
// can be referred to.
func (l *loader) collect(files []*source) {
	names := append(sortedKeys(topLevel), laterBlocks...)
	for _, f := range files {
		for _, a := range f.loose {
			hint := l.didYouMean(a.Name, names)
			if hint == "" {
				hint = fmt.Sprintf(" A value with a name stands in a locals block: locals { %s = … }.", a.Name)
			}
			l.error(a.NameRange, "Argument outside a block", "%q stands outside every block.%s", a.Name, hint)
		}
		for _, b := range f.blocks {
			l.collectBlock(b, names)
		}
	}
}

func (l *loader) collectBlock(b *hclsyntax.Block, known []string) {
	labels, ok := topLevel[b.Type]
	if !ok {
		for _, later := range laterBlocks {
			if b.Type == later {
				l.error(b.TypeRange, "Not supported yet", "The block %q is not supported yet. Remove it to run the rest.", b.Type)
				return
			}
		}
		hint := ""
		switch b.Type {
		case "fault", "action", "prompt":
			hint = " A step stands inside an experiment block."
		case "chance":
			hint = " It stands inside an experiment block."
		case "objective":
			hint = " An objective stands inside a steady_state block."
		default:
			if hint = l.didYouMean(b.Type, known); hint == "" {
				hint = " The blocks are " + allOf(sortedKeys(topLevel)) + "."
			}
		}
		l.error(b.TypeRange, "Unknown block", "There is no block %q.%s", b.Type, hint)
		return
	}
	if !l.labelled(b, labels) {
		return
	}
	spaces := map[string]*namespace{"probe": l.probes, "target": l.targets, "steady_state": l.steady, "experiment": l.experiments, "guard": l.guards}
	if n := spaces[b.Type]; n != nil {
		if _, ok := l.declare(n, b); !ok {
			return
		}
	}
	l.blocks[b.Type] = append(l.blocks[b.Type], b)
}

// labelled checks how many labels a block has, and that names can be referred to.
func (l *loader) labelled(b *hclsyntax.Block, labels []string) bool {
	if len(b.Labels) != len(labels) {
		form := b.Type
		for _, x := range labels {
			form += fmt.Sprintf(" %q", x)
		}
		at := b.TypeRange
		if len(b.Labels) > len(labels) {
			at = b.LabelRanges[len(labels)]
		}
		l.error(at, "Wrong number of labels", "The block has %s, and is written: %s { … }.", counted(len(b.Labels), "label"), form)
		return false
	}
	for i, label := range b.Labels {
		if validName(label) {
			continue
		}
		hint := ""
		if n := asIdentifier(label); n != "" {
			hint = fmt.Sprintf(" Write %q.", n)
		}
		l.error(b.LabelRanges[i], "Invalid name", "%q cannot be referred to: a name has letters, digits, _ and -, and starts with a letter.%s", label, hint)
		return false
	}
	return true
}

// validName is hclsyntax.ValidIdentifier, which starts a scanner, after a look at
// whether the name is a plain one, as nearly all are.
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case i > 0 && (c >= '0' && c <= '9' || c == '_' || c == '-'):
		default:
			return hclsyntax.ValidIdentifier(s)
		}
	}
	return s != ""
}

// asIdentifier makes a name of a text, or nothing.
func asIdentifier(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
			return r
		default:
			return '-'
		}
	}, s)
	s = strings.Trim(s, "-")
	if !hclsyntax.ValidIdentifier(s) {
		return ""
	}
	return s
}

// declare enters a block under its labels.
func (l *loader) declare(n *namespace, b *hclsyntax.Block) (*declared, bool) {
	name := strings.Join(b.Labels, ".")
	if first := n.all[name]; first != nil {
		l.error(b.DefRange(), "Duplicate "+n.what(), "%s is already declared at %s. Give one of them another name.", n.root+"."+name, place(first.block.DefRange()))
		return nil, false
	}
	d := &declared{name: name, block: b}
	n.all[name] = d
	n.order = append(n.order, d)
	return d, true
}

// single returns the only block of a type inside a body, or nil; more than one is
// an error that names both places.
func (a *args) single(typ string) *hclsyntax.Block {
	var first *hclsyntax.Block
	for _, b := range a.body.Blocks {
		if b.Type != typ {
			continue
		}
		if first != nil {
			a.error(b.DefRange(), "Duplicate "+typ+" block", "There is one already at %s, and %s takes one.", place(first.DefRange()), a.what)
			continue
		}
		if a.l.labelled(b, nil) {
			first = b
		} else {
			a.bad = true
		}
	}
	return first
}

// counted is a number of things in words: "1 label", "2 labels".
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// header is the range that a missing argument is reported at.
func header(b *hclsyntax.Block) hcl.Range { return b.DefRange() }
