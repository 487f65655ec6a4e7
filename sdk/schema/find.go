package schema

// Fault returns the fault of that type, or nil.
func (d *Description) Fault(typ string) *Fault {
	return find(d.Faults, func(f *Fault) bool { return f.Type == typ })
}

// Probe returns the probe of that type, or nil.
func (d *Description) Probe(typ string) *Probe {
	return find(d.Probes, func(p *Probe) bool { return p.Type == typ })
}

// Action returns the action of that type, or nil.
func (d *Description) Action(typ string) *Action {
	return find(d.Actions, func(a *Action) bool { return a.Type == typ })
}

// Target returns the target kind of that type, or nil.
func (d *Description) Target(typ string) *Target {
	return find(d.Targets, func(t *Target) bool { return t.Type == typ })
}

// Attribute returns the argument of that name, or nil.
func (b *Body) Attribute(name string) *Attribute {
	return find(b.Attributes, func(a *Attribute) bool { return a.Name == name })
}

// Block returns the nested block of that name, or nil.
func (b *Body) Block(name string) *Block {
	return find(b.Blocks, func(x *Block) bool { return x.Name == name })
}

func find[T any](all []T, is func(*T) bool) *T {
	for i := range all {
		if is(&all[i]) {
			return &all[i]
		}
	}
	return nil
}

// BinaryPrefix begins the name of every plugin's binary; its local name follows.
const BinaryPrefix = "faultline-plugin-"

// PluginOf returns the local name of the plugin that serves a type: the text
// before its first underscore, or the whole of it.
func PluginOf(typ string) string {
	for i := range len(typ) {
		if typ[i] == '_' {
			return typ[:i]
		}
	}
	return typ
}
