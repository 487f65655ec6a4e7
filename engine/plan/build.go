package plan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Plugins gives the plugins that planning talks to, started and configured.
type Plugins interface {
	// Description is what the plugin offers.
	Description(name string) (*schema.Description, error)
	// Planner is the plugin's connection.
	Planner(name string) (Planner, error)
}

// Planner is what planning asks of a plugin: neither call changes anything.
type Planner interface {
	Discover(ctx context.Context, typ string, match json.RawMessage) ([]schema.Candidate, error)
	Prepare(context.Context, wire.Prepare) ([]wire.Prepared, error)
}

// Options of Build.
type Options struct {
	Seed      int64 // used when the scenario sets none
	GitCommit string
	Workdir   string // what the scenario's source is relative to
	// Checksums are those of the binaries, by plugin, as far as they are known.
	Checksums map[string]string
	// Locked are the checksums for every platform that a lock file has, by plugin.
	Locked   map[string][]string
	Platform string    // that Checksums are for: "linux_amd64"
	Policy   *Policy   // nil: none
	Now      time.Time // what chances are drawn for; zero: the current time
	// LastTurn asks a ledger, in a folder or that of the state, for the latest turn of
	// a group; nil: there was none. It is needed where an experiment happens by chance.
	LastTurn func(folder, group string) (*Turn, error)
}

// Deadlines of the calls to plugins.
const (
	discoverTimeout = 30 * time.Second
	prepareTimeout  = 30 * time.Second
	maxObserve      = 60 * time.Second // what Observe becomes at most by default
	minObserve      = judge.SteadyWindow
)

// targetSet is what became of a target block.
type targetSet struct {
	passed, picked []schema.Candidate
	zones          map[string]string // of passed, by id
	problem        string            // why nothing could be picked
}

// Build plans a scenario. The error is Problems where the user can mend the
// scenario or its targets; any other error means that a plugin failed.
func Build(ctx context.Context, s *scenario.Scenario, plugins Plugins, o Options) (*Plan, error) {
	p := &Plan{
		Format: Format,
		Scenario: journal.Scenario{
			Name: s.Name, Title: s.Title, Owner: s.Owner, Environment: s.Environment,
			Runbook: s.Runbook, Source: s.Source, GitCommit: o.GitCommit,
		},
		Seed:      o.Seed,
		Workdir:   o.Workdir,
		Platform:  o.Platform,
		Variables: s.Variables,
	}
	if s.Seed != nil {
		p.Seed = *s.Seed
	}
	for _, f := range s.Files {
		p.Files = append(p.Files, File{Path: fileName(f), SHA256: f.SHA256, Text: f.Text})
	}
	if err := p.addPlugins(s, plugins, o); err != nil {
		return nil, err
	}
	p.addProbesAndGuards(s)
	var problems Problems
	p.Limits = limitsOf(s.Limits, o.Policy)
	all, err := needs(s, plugins.Description)
	if err != nil {
		return nil, err
	}
	p.Capabilities = byCapability(all)
	if forbidden := o.Policy.forbids(s, all); len(forbidden) > 0 { // not even looked for is what may not be touched
		return nil, forbidden
	}
	chances, err := draw(s, o)
	if err != nil {
		return nil, err
	}
	sets, err := discover(ctx, s, plugins, p.Seed, chances, &problems)
	if err != nil {
		return nil, err
	}
	for _, e := range s.Experiments {
		x, err := buildExperiment(e, sets, plugins, places(s.Files), &problems)
		if err != nil {
			return nil, err
		}
		if c := chances[e.Name]; c != nil {
			x.Chance, x.NotDue = c.chance, c.notDue
		}
		p.Experiments = append(p.Experiments, *x)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	for i := range p.Experiments {
		x := &p.Experiments[i]
		if x.NotDue != "" {
			continue
		}
		pos := positions(s.Experiments[i])
		if err := prepare(ctx, s, s.Experiments[i], x, plugins, &problems); err != nil {
			return nil, err
		}
		problems = append(problems, checkLimits(p.Limits, x, sets, pos)...)
		checkResources(x, pos, &problems)
		if x.Skip == "" {
			p.Longest += x.lasts
		}
		p.Warnings = append(p.Warnings, doubts(x)...)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	if p.Hash, err = p.hash(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Plan) addPlugins(s *scenario.Scenario, plugins Plugins, o Options) error {
	for _, x := range s.Plugins {
		d, err := plugins.Description(x.Name)
		if err != nil {
			return err
		}
		add := Plugin{Name: x.Name, Version: d.Version, SHA256: o.Checksums[x.Name], Settings: x.Settings.Redacted, Full: x.Settings.Full}
		if locked := o.Locked[x.Name]; slices.Contains(locked, add.SHA256) {
			add.Locked = locked
		}
		p.Plugins = append(p.Plugins, add)
	}
	return nil
}

func (p *Plan) addProbesAndGuards(s *scenario.Scenario) {
	used := map[string]bool{}
	for _, e := range s.Experiments {
		for _, o := range e.Objectives {
			used[o.Probe.Name] = true
		}
	}
	for _, g := range s.Guards {
		used[g.Probe.Name] = true
		p.Guards = append(p.Guards, Guard{
			Name: g.Name, Probe: g.Probe.Name, Good: g.Good.Source(),
			For: g.For, NoDataAfter: g.NoDataAfter, Predicate: g.Good,
		})
	}
	for _, x := range s.Probes {
		if used[x.Name] {
			p.Probes = append(p.Probes, Probe{
				Name: x.Name, Type: x.Type, Plugin: x.Plugin, Interval: x.Interval, Timeout: x.Timeout,
				Config: x.Config.Redacted, Full: x.Config.Full,
			})
		}
	}
}

// discover asks for the candidates of every target block that a fault uses, all at
// once, and picks. What an experiment that is not due would hit is left alone; what one
// that is due by chance hits is picked anew every day.
func discover(ctx context.Context, s *scenario.Scenario, plugins Plugins, seed int64, chances map[string]*drawn, problems *Problems) (map[string]targetSet, error) {
	used := map[string]bool{}
	seeds := map[string]int64{}
	for _, e := range s.Experiments {
		c := chances[e.Name]
		if c != nil && c.notDue != "" {
			continue
		}
		for _, step := range e.Steps {
			if step.Target != nil {
				used[step.Target.Name] = true
				if c != nil {
					seeds[step.Target.Name] = int64(nameHash(c.chance.Day))
				}
			}
		}
	}
	found := make([][]schema.Candidate, len(s.Targets))
	ctx, cancel := context.WithTimeout(ctx, discoverTimeout)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for i, t := range s.Targets {
		if !used[t.Name] {
			continue
		}
		plugin, err := plugins.Planner(t.Plugin)
		if err != nil {
			return nil, err
		}
		group.Go(func() error {
			var err error
			if found[i], err = plugin.Discover(ctx, t.Type, t.Match.Full); err != nil {
				return Problems{{Pos: t.Pos, Summary: fmt.Sprintf("target %s could not be discovered", t.Name), Detail: err.Error()}}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	sets := map[string]targetSet{}
	for i, t := range s.Targets {
		if !used[t.Name] {
			continue
		}
		passed, picked, err := choose(t, seed^seeds[t.Name], found[i])
		set := targetSet{passed: passed, picked: picked, zones: map[string]string{}}
		for _, c := range passed {
			set.zones[c.ID] = attribute(c, ZoneAttribute)
		}
		if err != nil {
			problems.add(t.Pos, fmt.Sprintf("target %s cannot be picked: %v", t.Name, err), "Change its `pick`, `match` or `filter`.")
		} else if len(picked) == 0 {
			set.problem = fmt.Sprintf("target %s matches nothing: %d found by its match, none left by its filters", t.Name, len(found[i]))
			if len(found[i]) == 0 {
				set.problem = fmt.Sprintf("target %s matches nothing", t.Name)
			}
		}
		sets[t.Name] = set
	}
	return sets, nil
}

func buildExperiment(e *scenario.Experiment, sets map[string]targetSet, plugins Plugins, place func(string) string, problems *Problems) (*Experiment, error) {
	x := &Experiment{DependsOn: e.DependsOn, Source: e.Source, Spec: journal.ExperimentSpec{
		Name: e.Name, Hypothesis: e.Hypothesis, Expect: journal.Expect(e.Expect),
		Baseline: e.Baseline, Observe: e.Observe, RecoverWithin: e.RecoverWithin,
		Place: place(e.Pos),
	}}
	for _, o := range e.Objectives {
		x.Objectives = append(x.Objectives, Objective{Name: o.Name, Probe: o.Probe.Name, Good: o.Good})
		x.Spec.Objectives = append(x.Spec.Objectives, journal.ObjectiveSpec{
			Name: o.Name, Probe: o.Probe.Name, Good: o.Good.Source(), Target: o.Target, DuringTarget: o.DuringTarget,
			MinSamples: o.MinSamples, Judge: o.Judge, Rate: 1 / o.Probe.Interval.Seconds(),
			Place: place(o.Good.Pos()),
		})
	}
	for _, s := range e.Steps {
		step, err := buildStep(s, sets, plugins)
		if err != nil {
			return nil, err
		}
		if set := sets[step.Target]; s.Kind == scenario.FaultStep && set.problem != "" {
			if s.OnEmpty == "skip" {
				x.Skip = set.problem
			} else {
				problems.add(s.Target.Pos, set.problem, "Check its `match` and `filter` against what runs, or say on_empty = \"skip\".")
			}
		}
		x.Steps = append(x.Steps, *step)
	}
	if err := layOut(x.Steps); err != nil {
		problems.add(e.Pos, fmt.Sprintf("experiment %s: %v", e.Name, err), "")
	}
	first, last := underFault(x.Steps)
	x.Spec.Planned = last - first
	for i := range x.Steps {
		if s := &x.Steps[i]; s.Kind == scenario.FaultStep {
			x.Spec.Faults = append(x.Spec.Faults, journal.FaultSpec{
				Name: s.Name, Type: s.Type, Targets: s.TargetNames(), Duration: s.Duration, Hold: string(s.Hold),
				Place: place(e.Steps[i].Pos), TargetBlock: s.Target, Discovered: s.Discovered,
			})
		}
	}
	if x.Spec.Observe == 0 {
		x.Spec.Observe = observeFor(x.Spec)
	}
	x.Spec.Observe = max(x.Spec.Observe, steadyAfter(x.Spec))
	x.Needs = judge.NeedsOfExperiment(x.Spec)
	end, lastFault := longest(x.Steps)
	x.lasts = x.Spec.Baseline + max(end, lastFault+x.Spec.Observe)
	if len(x.Spec.Faults) == 0 {
		x.lasts = max(end, x.Spec.Observe) // a check has no baseline
	}
	return x, nil
}

func buildStep(s *scenario.Step, sets map[string]targetSet, plugins Plugins) (*Step, error) {
	step := &Step{
		Kind: s.Kind, Name: s.Name, Type: s.Type, Plugin: s.Plugin, Offset: s.Start, After: s.After,
		Duration: s.Duration, Timeout: s.Timeout, Config: s.Config.Redacted, Full: s.Config.Full,
		EndsAfter: s.EndsAfter,
	}
	if s.Kind == scenario.PromptStep {
		step.Prompt = &Prompt{Question: s.Prompt.Question, Default: s.Prompt.Default}
	}
	if s.Kind != scenario.FaultStep {
		step.Duration = 0
		return step, nil
	}
	d, err := plugins.Description(s.Plugin)
	if err != nil {
		return nil, err
	}
	f := d.Fault(s.Type)
	if f == nil {
		return nil, fmt.Errorf("plugin %s has no fault %s any more", s.Plugin, s.Type)
	}
	set := sets[s.Target.Name]
	for _, c := range set.picked {
		step.Targets = append(step.Targets, Target{Kind: c.Kind, ID: c.ID, Name: c.Name, Zone: attribute(c, ZoneAttribute), Candidate: c})
	}
	rounds := (len(step.Targets) + f.Concurrency - 1) / max(f.Concurrency, 1)
	step.Target, step.Discovered, step.Lease, step.ZoneOf = s.Target.Name, len(set.passed), s.Lease, set.zones
	step.Hold, step.Reversibility, step.AcceptIrreversible = f.Hold, f.Reversibility, s.AcceptIrreversible
	step.Settle = time.Duration(f.SettleMS) * time.Millisecond
	step.RevertBudget = time.Duration(rounds) * time.Duration(f.RevertMS) * time.Millisecond
	return step, nil
}

// TargetNames are the names of a fault's targets, for people.
func (s *Step) TargetNames() []string {
	names := make([]string, len(s.Targets))
	for i, t := range s.Targets {
		names[i] = t.Name
	}
	return names
}

// observeFor is how long "after" must last for every objective to be able to hold,
// with a fifth to spare for samples that go missing.
func observeFor(e journal.ExperimentSpec) time.Duration {
	longest := minObserve
	for _, o := range e.Objectives {
		phase := journal.After
		if len(e.Faults) == 0 {
			phase = journal.During
		}
		longest = max(longest, judge.NeedsOf(o, phase, len(e.Faults) > 0, 0).Lasts*6/5)
	}
	return min(longest.Round(time.Second), maxObserve)
}

// steadyAfter is how long a run looks at least after the last fault: until every objective
// can be called steady, or until it is too late for that.
func steadyAfter(e journal.ExperimentSpec) time.Duration {
	if len(e.Faults) == 0 {
		return 0
	}
	longest := time.Duration(0)
	for _, o := range e.Objectives {
		longest = max(longest, judge.SteadyAfter(o))
	}
	return min(longest, e.RecoverWithin+judge.SteadyWindow)
}

// prepare asks each fault to look at its targets now. It learns what the fault
// would occupy, and finds out before the run what cannot work.
func prepare(ctx context.Context, day *scenario.Scenario, e *scenario.Experiment, x *Experiment, plugins Plugins, problems *Problems) error {
	for i := range x.Steps {
		s := &x.Steps[i]
		if len(s.Targets) == 0 {
			continue
		}
		plugin, err := plugins.Planner(s.Plugin)
		if err != nil {
			return err
		}
		if err := s.prepare(ctx, plugin, x.Spec.Name, place{day, e.Steps[i]}, problems); err != nil {
			return err
		}
	}
	return nil
}

// place is where a step stands, to say what is wrong with it.
type place struct {
	day  *scenario.Scenario
	step *scenario.Step
}

func (s *Step) prepare(ctx context.Context, plugin Planner, experiment string, where place, problems *Problems) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	results, err := plugin.Prepare(ctx, s.PrepareRequest())
	if err != nil {
		if errors.Is(err, wire.ErrGone) || errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("prepare %s: %w", s.Name, err)
		}
		problems.add(where.step.Pos, fmt.Sprintf("fault %s of experiment %s cannot be prepared", s.Name, experiment), err.Error())
		return nil
	}
	answered := map[string]bool{}
	for _, r := range results {
		at := slices.IndexFunc(s.Targets, func(t Target) bool { return t.ID == r.Target })
		if at < 0 {
			return fmt.Errorf("prepare %s: the plugin answered for a target that it was not asked about: %s", s.Name, r.Target)
		}
		if r.Err != "" {
			answered[r.Target] = true
			summary := fmt.Sprintf("fault %s of experiment %s cannot be injected into %s", s.Name, experiment, s.Targets[at].Name)
			where.add(problems, summary, r)
			continue
		}
		s.Targets[at].Resources = r.Resources
		answered[r.Target] = true
	}
	for _, t := range s.Targets {
		if !answered[t.ID] {
			return fmt.Errorf("prepare %s: the plugin gave no answer for %s", s.Name, t.Name)
		}
	}
	return nil
}

// add says why a target cannot be prepared: at the arguments that the plugin names, or at
// the step.
func (p place) add(problems *Problems, summary string, r wire.Prepared) {
	if len(r.Problems) == 0 {
		problems.add(p.step.Pos, summary, r.Err)
	}
	for _, d := range p.day.Refuse(refusals(p.step.Plugin, p.step.Config, r.Problems)).All() {
		pos := p.step.Pos
		if d.File != "" {
			pos = fmt.Sprintf("%s:%d,%d", d.File, d.Line, d.Column)
		}
		problems.add(pos, summary, d.Quote+d.Detail)
	}
}

// PrepareRequest is the question for a fault's undo records.
func (s *Step) PrepareRequest() wire.Prepare {
	q := wire.Prepare{Type: s.Type, Config: s.Full, AcceptIrreversible: s.AcceptIrreversible}
	for _, t := range s.Targets {
		q.Targets = append(q.Targets, t.Candidate)
	}
	return q
}

// checkResources refuses two faults that would hold the same thing at once: their
// reverts would not commute.
func checkResources(x *Experiment, pos func(string) string, problems *Problems) {
	for i := range x.Steps {
		for j := range i {
			a, b := &x.Steps[j], &x.Steps[i]
			if !overlap(x.Steps, a, b) {
				continue
			}
			if shared := sharedResource(a, b); shared != "" {
				problems.add(pos(b.Name), fmt.Sprintf("%s and %s would both act on %s at the same time", a.Name, b.Name, shared),
					fmt.Sprintf("Let one follow the other: after = [fault.%s].", a.Name))
			}
		}
	}
}

func sharedResource(a, b *Step) string {
	held := map[string]bool{}
	for _, t := range a.Targets {
		for _, r := range t.Resources {
			held[r] = true
		}
	}
	for _, t := range b.Targets {
		for _, r := range t.Resources {
			if held[r] {
				return r
			}
		}
	}
	return ""
}

// doubts says what of an experiment cannot conclude as planned.
func doubts(x *Experiment) []string {
	var out []string
	for _, n := range x.Needs {
		if !n.Concludes {
			out = append(out, fmt.Sprintf("experiment %s: objective %s cannot be shown to hold %s: %d samples expected, %d needed without a bad one",
				x.Spec.Name, n.Objective, phaseWords(n.Phase), n.Expected, n.ForHeld))
		}
	}
	return out
}

func phaseWords(p journal.Phase) string {
	switch p {
	case journal.During:
		return "during the fault"
	case journal.After:
		return "after the fault"
	default:
		return "in the " + string(p)
	}
}

// positions finds the place of a step in the scenario.
func positions(e *scenario.Experiment) func(string) string {
	return func(step string) string {
		for _, s := range e.Steps {
			if s.Name == step {
				return s.Pos
			}
		}
		return e.Pos
	}
}

func limitsOf(l scenario.Limits, policy *Policy) Limits {
	out := Limits{MaxTargets: l.MaxTargets, MaxPercent: l.MaxPercent, KeepPerZone: l.KeepPerZone, windows: l.Windows}
	policy.tighten(&out)
	for _, w := range slices.Concat(out.windows, out.policyWindows) {
		out.Windows = append(out.Windows, strings.TrimSpace(describeWindow(w)))
	}
	return out
}
