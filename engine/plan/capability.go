package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
)

// CapabilityUse is a capability that the plan needs, and what needs it.
type CapabilityUse struct {
	Capability schema.Capability `json:"capability"`
	By         []string          `json:"by"` // "docker_kill.web"
}

// need is a capability of one block of a scenario.
type need struct {
	schema.Capability
	kind, name, pos string
}

// Describe says what a plugin offers.
type Describe func(plugin string) (*schema.Description, error)

// needs lists what the blocks of a scenario that can run may do, in their order.
func needs(s *scenario.Scenario, describe Describe) ([]need, error) {
	var out []need
	add := func(kind, name, pos, plugin, typ string) error {
		if plugin == "" { // a prompt is nobody's
			return nil
		}
		d, err := describe(plugin)
		if err != nil {
			return err
		}
		for _, c := range capabilitiesOf(d, kind, typ) {
			n := need{c, kind, name, pos}
			if !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
		return nil
	}
	for _, p := range s.Probes {
		if err := add("probe", p.Name, p.Pos, p.Plugin, p.Type); err != nil {
			return nil, err
		}
	}
	for _, e := range s.Experiments {
		for _, step := range e.Steps {
			if step.Target != nil {
				if err := add("target", step.Target.Name, step.Target.Pos, step.Target.Plugin, step.Target.Type); err != nil {
					return nil, err
				}
			}
			kind := "action"
			if step.Kind == scenario.FaultStep {
				kind = "fault"
			}
			if err := add(kind, step.Name, step.Pos, step.Plugin, step.Type); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func capabilitiesOf(d *schema.Description, kind, typ string) []schema.Capability {
	switch kind {
	case "fault":
		if f := d.Fault(typ); f != nil {
			return f.Capabilities
		}
	case "probe":
		if p := d.Probe(typ); p != nil {
			return p.Capabilities
		}
	case "action":
		if a := d.Action(typ); a != nil {
			return a.Capabilities
		}
	case "target":
		if t := d.Target(typ); t != nil {
			return t.Capabilities
		}
	}
	return nil
}

// byCapability sorts needs by capability.
func byCapability(all []need) []CapabilityUse {
	var out []CapabilityUse
	for _, n := range all {
		i := slices.IndexFunc(out, func(u CapabilityUse) bool { return u.Capability == n.Capability })
		if i < 0 {
			i = len(out)
			out = append(out, CapabilityUse{Capability: n.Capability})
		}
		if !slices.Contains(out[i].By, n.name) {
			out[i].By = append(out[i].By, n.name)
		}
	}
	slices.SortFunc(out, func(a, b CapabilityUse) int { return strings.Compare(string(a.Capability), string(b.Capability)) })
	return out
}

// deny refuses what the policy denies. A nil policy denies nothing.
func (p *Policy) deny(all []need) Problems {
	if p == nil {
		return nil
	}
	var ps Problems
	for _, n := range all {
		if slices.Contains(p.DenyCapabilities, n.Capability) {
			ps.refuse(n.pos, fmt.Sprintf("%s %s needs the capability %s, which environment %s denies", n.kind, n.name, n.Capability, p.Environment),
				fmt.Sprintf("It %s. Denied by %s.", n.Capability.Doc(), p.Source))
		}
	}
	return ps
}

func (p *printer) capabilities(all []CapabilityUse) {
	for i, u := range all {
		if i == 0 {
			p.printf("\ncapabilities\n")
		}
		p.fill("  ", "    ", fmt.Sprintf("%s: %s (%s)", u.Capability, u.Capability.Doc(), strings.Join(u.By, ", ")))
	}
}
