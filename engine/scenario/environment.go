package scenario

import (
	"slices"

	"github.com/zclconf/go-cty/cty"

	"github.com/faultline-go/faultline/sdk/schema"
)

// variables reads a list of names of environment variables that a plugin may inherit.
func (a *args) variables(name string) []string {
	v, ok := a.value(name, cty.List(cty.String))
	if !ok {
		return nil
	}
	var out []string
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if e.IsNull() {
			continue
		}
		variable := e.AsString()
		if err := schema.CheckVariable(variable); err != nil {
			a.error(a.rangeOf(name), "Variable not for a plugin", "A plugin cannot inherit it: %s.", err)
			continue
		}
		if !slices.Contains(out, variable) {
			out = append(out, variable)
		}
	}
	return out
}
