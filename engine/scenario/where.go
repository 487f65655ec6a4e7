package scenario

import (
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// plainOf takes the parentheses off an expression.
func plainOf(expr hclsyntax.Expression) hclsyntax.Expression {
	for {
		p, ok := expr.(*hclsyntax.ParenthesesExpr)
		if !ok {
			return expr
		}
		expr = p.Expression
	}
}

// elementRange is the place of an element of a list, or of the list where its elements do
// not stand in the file.
func elementRange(expr hclsyntax.Expression, i int) hcl.Range {
	if list, ok := plainOf(expr).(*hclsyntax.TupleConsExpr); ok && i >= 0 && i < len(list.Exprs) {
		return list.Exprs[i].Range()
	}
	return expr.Range()
}

// entryRange is the place of a value of a map, or of the map.
func entryRange(expr hclsyntax.Expression, key string, ctx *hcl.EvalContext) hcl.Range {
	object, ok := plainOf(expr).(*hclsyntax.ObjectConsExpr)
	if !ok {
		return expr.Range()
	}
	for _, item := range object.Items {
		k, diags := item.KeyExpr.Value(ctx)
		if !diags.HasErrors() && k.Type() == cty.String && k.IsKnown() && !k.IsNull() && !k.IsMarked() && k.AsString() == key {
			return item.ValueExpr.Range()
		}
	}
	return expr.Range()
}

// step is a part of a path: a name, an index or a key.
type step struct {
	name  string
	index int // -1: none
	key   string
	keyed bool
}

// stepsOf takes a path such as `restart.command[1]` or `labels["a"]` apart. What cannot be
// read ends it: a place that is nearly right is better than none.
func stepsOf(path string) []step {
	var all []step
	for path != "" {
		if path[0] == '[' {
			inner := path[1:]
			if quoted, err := strconv.QuotedPrefix(inner); err == nil && strings.HasPrefix(inner[len(quoted):], "]") {
				key, _ := strconv.Unquote(quoted) // QuotedPrefix has seen that it is one
				all = append(all, step{index: -1, key: key, keyed: true})
				path = strings.TrimPrefix(inner[len(quoted)+1:], ".")
				continue
			}
			number, rest, ok := strings.Cut(inner, "]")
			i, err := strconv.Atoi(number)
			if !ok || err != nil || i < 0 {
				return all
			}
			all = append(all, step{index: i})
			path = strings.TrimPrefix(rest, ".")
			continue
		}
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		all = append(all, step{name: path[:end], index: -1})
		path = strings.TrimPrefix(path[end:], ".")
	}
	return all
}

// find is the place of a path in a body, or the nearest around it: of an argument its value,
// of a block its header. at is that of the body itself.
func find(body *hclsyntax.Body, path []step, at hcl.Range, ctx *hcl.EvalContext) hcl.Range {
	if len(path) == 0 || path[0].name == "" {
		return at
	}
	name, rest := path[0].name, path[1:]
	if attr := body.Attributes[name]; attr != nil {
		return findIn(attr.Expr, rest, ctx)
	}
	var found []*hclsyntax.Block
	for _, b := range body.Blocks {
		if b.Type == name {
			found = append(found, b)
		}
	}
	if len(found) == 0 {
		return at
	}
	block := found[0]
	if len(rest) > 0 && rest[0].name == "" {
		switch {
		case rest[0].keyed:
			for _, b := range found {
				if len(b.Labels) > 0 && b.Labels[0] == rest[0].key {
					block = b
				}
			}
		case rest[0].index < len(found):
			block = found[rest[0].index]
		}
		rest = rest[1:]
	}
	return find(block.Body, rest, header(block), ctx)
}

func findIn(expr hclsyntax.Expression, path []step, ctx *hcl.EvalContext) hcl.Range {
	if len(path) == 0 {
		return expr.Range()
	}
	switch s := path[0]; {
	case s.keyed:
		return entryRange(expr, s.key, ctx)
	case s.name != "":
		return entryRange(expr, s.name, ctx)
	default:
		return elementRange(expr, s.index)
	}
}
