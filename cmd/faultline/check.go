package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/halt"
	"github.com/faultline-go/faultline/engine/host"
	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/readiness"
	"github.com/faultline-go/faultline/engine/recover"
	"github.com/faultline-go/faultline/engine/report"
	"github.com/faultline-go/faultline/engine/run"
	"github.com/faultline-go/faultline/engine/scenario"
)

// checkFlags are the flags of check.
type checkFlags struct {
	planFlags
	tick, by string
	measure  time.Duration
	format   string
}

func newCheck(g *global) *cobra.Command {
	var f checkFlags
	c := &cobra.Command{
		Use:   "check [PATH]",
		Short: "Go through the checklist before a game day",
		Long: `check says whether the game day in PATH may begin. What a machine can look up it looks
up, with its evidence: plugins, targets, nothing broken from before, no halt, samples
enough, the steady state now (measured for as long as a baseline, without any fault),
runbook, owner, a drill of the halt. What the scenario's checklist leaves to people they
tick with -tick ITEM -by ROLE, which counts for 24 hours. It breaks nothing, and exits
with 0 when everything is well and with 7 when not.`,
		Args: arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := formats(f.format, "table", "json"); err != nil {
				return err
			}
			path := pathArg(args)
			h, err := g.host(path)
			if err != nil {
				return err
			}
			s, policy, err := g.loadUnder(c.Context(), path, &f.planFlags, h)
			if err != nil {
				return err
			}
			if f.tick != "" {
				return g.tick(c, s, &f)
			}
			facts, err := g.facts(c, s, policy, h.Host, &f)
			if err != nil {
				return err
			}
			facts.Path = path
			items := readiness.Checklist(facts)
			if f.format == "json" {
				err = writeJSON(c, items)
			} else {
				err = report.Checklist(c.OutOrStdout(), items, g.reportOptions(true))
			}
			if err == nil && !readiness.Ready(items) {
				return exit(exitRefused)
			}
			return err
		},
	}
	f.add(c)
	c.Flags().StringVar(&f.tick, "tick", "", "say that an item of the scenario's checklist is seen to")
	c.Flags().StringVar(&f.by, "by", "", "with -tick: the role that says so, such as on-call")
	c.Flags().DurationVar(&f.measure, "measure", 0, "how long the steady state is measured (default: as long as the longest baseline)")
	c.Flags().StringVar(&f.format, "format", "table", "table or json")
	return c
}

// tick puts on record that somebody has seen to an item.
func (g *global) tick(c *cobra.Command, s *scenario.Scenario, f *checkFlags) error {
	if f.by == "" {
		return errors.New("say which role ticks it, with -by, such as -by on-call")
	}
	var known []string
	for _, title := range s.Checklist {
		known = append(known, readiness.Slug(title))
	}
	if len(known) == 0 {
		return errors.New(`nothing is left to people: the scenario block has no checklist = ["…"]`)
	}
	if !slices.Contains(known, f.tick) {
		return fmt.Errorf("the checklist has no item %q: use one of %s", f.tick, strings.Join(known, ", "))
	}
	store, err := journal.Open(g.state())
	if err != nil {
		return err
	}
	if err := readiness.PutTick(store.Dir(), s.Name, f.tick, readiness.Tick{By: f.by, At: time.Now().UTC()}); err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "Ticked: %s, by %s\n", f.tick, f.by)
	return nil
}

// facts finds out what the checklist asks for. What cannot be found out is a fact, too:
// the error says that nothing can.
func (g *global) facts(c *cobra.Command, s *scenario.Scenario, policy *plan.Policy, h *host.Host, f *checkFlags) (readiness.Facts, error) {
	ctx := c.Context()
	facts := readiness.Facts{Now: time.Now(), Scenario: s}
	store, err := journal.Open(g.state())
	if err != nil {
		return facts, err
	}
	if facts.Ticks, err = readiness.Ticks(store.Dir(), s.Name); err != nil {
		return facts, err
	}
	if h, err := halt.Get(store.Dir()); err == nil {
		facts.Halt = fmt.Sprintf("by %s: %s", h.By, h.Reason)
	}
	if d, ok, err := halt.LastDrill(store.Dir()); err != nil {
		return facts, err
	} else if ok {
		facts.Drill = &readiness.Drill{At: d.At, By: d.By, Took: d.Took, Runs: d.Runs}
	}
	pending, _, err := recover.Pending(ctx, store)
	if err != nil {
		return facts, err
	}
	for _, p := range pending {
		facts.Pending = append(facts.Pending, p.ID)
	}
	facts.Findings, facts.ScanErr = g.scan(ctx, h)
	for _, p := range s.Plugins {
		x := readiness.Plugin{Name: p.Name}
		if d, err := h.Describe(ctx, p.Name); err != nil {
			x.Err = err
		} else {
			x.Version = d.Version
		}
		facts.Plugins = append(facts.Plugins, x)
	}
	crew, err := g.startCrew(ctx, h, s, policy, "", "")
	if forbidden := (plan.Problems)(nil); errors.As(err, &forbidden) {
		facts.PlanErr, facts.Why = err, "there is no plan"
		return facts, nil
	}
	if err != nil {
		facts.PlanErr, facts.Why = err, "a plugin does not start"
		return facts, nil
	}
	defer crew.stop()
	for i, p := range facts.Plugins {
		if started := crew.plugins[p.Name]; started != nil {
			facts.Plugins[i].SHA256, facts.Plugins[i].Note = started.SHA256, started.Trust.Note(p.Name)
		}
	}
	facts.Plan, facts.PlanErr = g.build(ctx, s, crew, f.newSeed(c), policy)
	switch {
	case facts.PlanErr != nil:
		facts.Why = "there is no plan"
	case len(facts.Pending) > 0 || len(facts.Findings) > 0:
		facts.Why = "something is broken from before"
	default:
		g.measureBaseline(ctx, &facts, crew, f.measure)
	}
	return facts, nil
}

// measureBaseline runs the probes of a plan and nothing else.
func (g *global) measureBaseline(ctx context.Context, facts *readiness.Facts, crew *crew, length time.Duration) {
	p := baselineOf(facts.Plan, length)
	if p == nil {
		facts.Why = "no experiment has a steady state"
		return
	}
	if !g.onTerminal() {
		fmt.Fprintf(g.process.stderr, "Measuring the steady state for %s.\n", p.Longest)
	}
	plugins := map[string]run.Plugin{}
	for name, plugin := range crew.plugins {
		plugins[name] = runner{plugin}
	}
	memory := &memory{folder: judge.NewFolder()}
	err := run.Do(ctx, run.Options{Run: "check", Epoch: 1, Plan: p, Journal: memory, Plugins: plugins, Engine: engine()})
	if err != nil {
		facts.Why = err.Error()
		return
	}
	r := memory.folder.Result()
	for i := range r.Experiments {
		if e := &r.Experiments[i]; e.Ending == journal.EndedErrored {
			facts.Why = e.Reasons[0].Text
			return
		}
		facts.Baseline = append(facts.Baseline, &r.Experiments[i])
	}
	facts.Trips = r.Guards
}

// baselineOf is a plan that only measures what another one's experiments want steady;
// nil where they want nothing.
func baselineOf(p *plan.Plan, length time.Duration) *plan.Plan {
	x := plan.Experiment{Spec: journal.ExperimentSpec{Name: "baseline", Expect: journal.Tolerate, Observe: length}}
	for _, e := range p.Experiments {
		if length == 0 {
			x.Spec.Observe = max(x.Spec.Observe, e.Spec.Baseline)
		}
		for i, o := range e.Spec.Objectives {
			if !slices.ContainsFunc(x.Spec.Objectives, func(had journal.ObjectiveSpec) bool { return had.Name == o.Name }) {
				o.DuringTarget = o.Target
				x.Spec.Objectives = append(x.Spec.Objectives, o)
				x.Objectives = append(x.Objectives, e.Objectives[i])
			}
		}
	}
	if len(x.Spec.Objectives) == 0 {
		return nil
	}
	if x.Spec.Observe == 0 {
		x.Spec.Observe = scenario.DefaultBaseline
	}
	return &plan.Plan{
		Format: p.Format, Workdir: p.Workdir, Scenario: p.Scenario, Seed: p.Seed, Plugins: p.Plugins, Probes: p.Probes, Guards: p.Guards,
		Experiments: []plan.Experiment{x}, Longest: x.Spec.Observe,
	}
}

// memory is a journal of a run that breaks nothing: there is nothing to recover.
type memory struct {
	mu     sync.Mutex
	seq    int64
	folder *judge.Folder
}

func (m *memory) Append(d journal.Data) (journal.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seq++
	e := journal.Event{Seq: m.seq, Time: time.Now().UTC(), Epoch: 1, Data: d}
	m.folder.Add(e)
	return e, nil
}

func (m *memory) Sync() error         { return nil }
func (m *memory) Reserve(int64) error { return nil }
