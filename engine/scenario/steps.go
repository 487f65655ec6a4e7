package scenario

import (
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// steps are the faults, actions and prompts of one experiment while they are read.
type steps struct {
	faults, actions, prompts *namespace
	byName                   map[string]*Step
	waits                    map[string]wait // by name of the step
}

// wait is what says for which steps another one waits.
type wait struct {
	after, endsAfter *hclsyntax.Attribute
	ctx              *hcl.EvalContext
}

func (l *loader) loadSteps(x *Experiment, b *hclsyntax.Block, ctx *hcl.EvalContext) {
	s := &steps{
		faults:  newNamespace("fault", 2),
		actions: newNamespace("action", 2),
		prompts: newNamespace("prompt", 1),
		byName:  map[string]*Step{},
		waits:   map[string]wait{},
	}
	for _, inner := range b.Body.Blocks {
		var made []*Step
		switch inner.Type {
		case "fault":
			made = l.loadStepBlock(inner, s.faults, s.actions, ctx, s)
		case "action":
			made = l.loadStepBlock(inner, s.actions, s.faults, ctx, s)
		case "prompt":
			made = l.loadPrompt(inner, s, ctx)
		}
		x.Steps = append(x.Steps, made...)
	}
	for _, step := range x.Steps {
		w := s.waits[step.Name]
		step.After = l.stepNames(w.after, w.ctx, s)
		step.EndsAfter = l.stepNames(w.endsAfter, w.ctx, s)
	}
	l.stepCycles(x, s)
}

// loadStepBlock reads a fault or an action into a step an instance.
func (l *loader) loadStepBlock(inner *hclsyntax.Block, space, other *namespace, ctx *hcl.EvalContext, s *steps) []*Step {
	if !l.labelled(inner, []string{"TYPE", "NAME"}) {
		return nil
	}
	if first := other.all[strings.Join(inner.Labels, ".")]; first != nil {
		l.error(inner.DefRange(), "Duplicate step", "A step of this name is already declared at %s. Give one of them another name.", place(first.block.DefRange()))
		return nil
	}
	d, ok := l.declare(space, inner)
	if !ok {
		return nil
	}
	p := l.offered(inner, inner.Type)
	if p == nil {
		d.broken = true
	}
	var all []*Step
	for _, i := range l.forEach(d, ctx) {
		if p == nil {
			continue
		}
		load := l.loadFault
		if inner.Type == "action" {
			load = l.loadAction
		}
		made := load(d, i, p.description)
		if made == nil {
			d.broken = true
			continue
		}
		s.enter(made, inner, i.ctx)
		all = append(all, made)
	}
	return all
}

func (s *steps) enter(made *Step, b *hclsyntax.Block, ctx *hcl.EvalContext) {
	s.byName[made.Name] = made
	w := wait{after: b.Body.Attributes["after"], ctx: ctx}
	if made.Kind == FaultStep {
		w.endsAfter = b.Body.Attributes["ends_after"]
	}
	s.waits[made.Name] = w
}

// loadPrompt reads a hold point.
func (l *loader) loadPrompt(b *hclsyntax.Block, s *steps, ctx *hcl.EvalContext) []*Step {
	if !l.labelled(b, []string{"NAME"}) {
		return nil
	}
	d, ok := l.declare(s.prompts, b)
	if !ok {
		return nil
	}
	a := l.args(b, "a prompt block", ctx)
	a.knows("experiment/prompt")
	a.require("question", `question = "Has the traffic moved?"`)
	p := &Step{
		Kind:    PromptStep,
		Name:    d.name,
		Type:    "prompt",
		Start:   a.duration("start", 0, 0, 0),
		Timeout: a.duration("timeout", 0, time.Second, 0),
		Prompt:  Prompt{Question: a.str("question", ""), Default: a.enum("default", Continue, Continue, Stop)},
		Pos:     l.pos(b.TypeRange),
	}
	if a.bad {
		d.broken = true
		return nil
	}
	s.enter(p, b, ctx)
	return []*Step{p}
}

// stepNames reads the steps that another one waits for.
func (l *loader) stepNames(attr *hclsyntax.Attribute, ctx *hcl.EvalContext, s *steps) []string {
	if attr == nil {
		return nil
	}
	var names []string
	refs, _ := l.many(attr.Expr, ctx, s.faults, s.actions, s.prompts)
	for _, r := range refs {
		if !r.to.broken {
			names = append(names, r.instances()...)
		}
	}
	return names
}

// stepCycles reports steps that wait for each other. What a fault is put back after
// must not wait for it to be.
func (l *loader) stepCycles(x *Experiment, s *steps) {
	names := make([]string, len(x.Steps))
	needs := map[string][]string{}
	for i, step := range x.Steps {
		names[i], needs[step.Name] = step.Name, slices.Concat(step.After, step.EndsAfter)
	}
	cycle := findCycle(names, needs)
	if cycle == nil {
		return
	}
	w := s.waits[cycle[0]]
	at := w.after
	if at == nil || !slices.Contains(s.byName[cycle[0]].After, cycle[1]) {
		at = w.endsAfter
	}
	l.error(at.Expr.Range(), "Cycle", "These steps wait for each other: %s. One of them must not.", strings.Join(cycle, " → "))
}
