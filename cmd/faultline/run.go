package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultline-go/faultline/engine/halt"
	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/engine/plan"
	"github.com/faultline-go/faultline/engine/recover"
	"github.com/faultline-go/faultline/engine/report"
	"github.com/faultline-go/faultline/engine/run"
)

// runFlags are the flags of run.
type runFlags struct {
	planFlags
	autoApprove    bool
	lenient        bool
	waitForAnswers bool
	reports        []string // FORMAT=PATH
	compareTo      string   // a run, last or last-held; empty: nothing can fail by a comparison
	gitHub         bool
	strict         bool // in JUnit
}

func newRun(g *global) *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run [PATH]",
		Short: "Run a game day: a folder, a file or a saved plan",
		Long: `run plans the scenario in PATH (a folder, a file, or a plan saved by
` + "`faultline plan -out`" + `), asks whether to go on when it has a terminal, runs it, puts
everything back, and reports. Ctrl-C, SIGTERM and SIGHUP abort the run: everything is
put back then, too. When everything in it happens by chance, and nothing is due now, it
says so and exits with 0.`,
		Args: arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			files, err := reportFiles(f.reports)
			if err != nil {
				return err
			}
			if err := g.checkReference(f.compareTo); err != nil {
				return err
			}
			resume := func() {}
			if g.onGitHub(f.gitHub) {
				resume = g.withoutCommands()
				defer resume()
			}
			r, err := g.gameDay(c, pathArg(args), &f)
			if idle := (*nothingDue)(nil); errors.As(err, &idle) {
				fmt.Fprintln(c.OutOrStdout(), idle.Error())
				return nil
			}
			if err != nil {
				return err
			}
			e := g.lookBack(c.Context(), r, f.compareTo)
			g.showResult(r, files, style{strict: f.strict}, e.before)
			if f.compareTo != "" {
				g.showRegressions(e.comparison, e.none)
			}
			if g.onGitHub(f.gitHub) {
				resume()
				g.gitHub(r)
			}
			if f.compareTo == "" {
				return exit(r.Exit(f.lenient))
			}
			return exit(r.RegressionExit(e.regressed(), f.lenient))
		},
	}
	f.add(c)
	c.Flags().StringArrayVar(&f.reports, "report", nil, "also write the report to a file, as `FORMAT=PATH`, such as junit=faultline.xml; may be repeated")
	c.Flags().StringVar(&f.compareTo, "compare-to", "", "exit with 1 when something is worse than in `RUN`, last or last-held, although it may hold; when there is no such run, say so and go on")
	c.Flags().BoolVar(&f.strict, "strict", false, "in a junit report: what is not held is a failure, not skipped")
	c.Flags().BoolVar(&f.gitHub, "github", true, "under GitHub Actions, write annotations and the step's summary; $"+gitHubEnv+"=off switches it off, too")
	c.Flags().BoolVar(&f.autoApprove, "auto-approve", false, "do not ask before the run, and take the default of every prompt")
	c.Flags().BoolVar(&f.lenient, "lenient", false, "exit with 0 when the run was inconclusive or not exercised")
	c.Flags().BoolVar(&f.waitForAnswers, "wait-for-answers", false, "wait at prompts also without a terminal, until they are answered from another")
	return c
}

// nothingDue is the end of a game day on which nothing has its turn: a normal one, of
// which there is nothing to record.
type nothingDue struct{ why []string }

func (e *nothingDue) Error() string {
	return "Nothing is due, and nothing was touched:\n  " + strings.Join(e.why, "\n  ")
}

// showResult writes the report below the progress, and the files that are asked for.
// When they cannot be written the verdict still decides the exit code.
func (g *global) showResult(r record, files []reportFile, s style, before *report.Before) {
	fmt.Fprintln(g.process.stdout)
	o := g.reportOptions(true)
	o.Before = before
	if err := report.Terminal(g.process.stdout, r.Result, o); err != nil && !errors.Is(err, syscall.EPIPE) {
		fmt.Fprintf(g.process.stderr, "Warning: write the report: %s; `faultline report` shows it again\n", err)
	}
	s.Options = g.reportOptions(false)
	s.Before = before
	for _, f := range files {
		if err := f.save(f.path, r, s); err != nil {
			fmt.Fprintf(g.process.stderr, "Warning: %s; `faultline report -format %s -out FILE` writes it again\n", err, f.name)
		}
	}
}

// gameDay plans and runs what path names, and judges it.
func (g *global) gameDay(c *cobra.Command, path string, f *runFlags) (record, error) {
	ctx := c.Context()
	saved, err := savedPlan(path)
	if err != nil {
		return record{}, err
	}
	seed := f.newSeed(c)
	if saved != nil {
		path, seed, f.recorded = sourceOf(saved), saved.Seed, saved.Variables
	}
	h, err := g.host(path)
	if err != nil {
		return record{}, err
	}
	s, policy, err := g.loadUnder(ctx, path, &f.planFlags, h)
	if shown := (*exitError)(nil); saved != nil && errors.As(err, &shown) {
		return record{}, refused(errors.New("the plan's scenario does not load any more: nothing was touched"))
	}
	if err != nil {
		return record{}, err
	}
	store, err := journal.Open(g.state())
	if err != nil {
		return record{}, err
	}
	if h, err := halt.Get(store.Dir()); err == nil {
		return record{}, refused(fmt.Errorf("a halt is in force (by %s, %s): %s; `faultline halt -release` ends it; nothing was touched", h.By, h.At.Local().Format(time.DateTime), h.Reason))
	}
	if err := nothingPending(c.Context(), store); err != nil {
		return record{}, err
	}
	id := journal.NewRunID(time.Now(), s.Name)
	crew, err := g.startCrew(ctx, h.Host, s, policy, id, store.RunDir(id))
	if forbidden := (plan.Problems)(nil); saved != nil && errors.As(err, &forbidden) {
		return record{}, cannotBeMade(err)
	}
	if err != nil {
		return record{}, g.shown(err)
	}
	defer crew.stop()
	p, err := g.build(ctx, s, crew, seed, policy)
	if err != nil {
		if saved != nil {
			return record{}, cannotBeMade(err)
		}
		return record{}, g.shown(err)
	}
	if saved != nil {
		if drift := plan.Drift(saved, p); drift != "" {
			return record{}, refused(fmt.Errorf("the plan has drifted, nothing was touched: %s; make and review it again with `faultline plan -out`", drift))
		}
	}
	if due, why := p.Due(); !due {
		return record{}, &nothingDue{why}
	}
	if !p.InWindow(time.Now()) {
		return record{}, refused(fmt.Errorf("outside the window, nothing was touched: this run (about %s) may only happen %s", p.Longest.Round(time.Second), strings.Join(p.Limits.Windows, ", or ")))
	}
	if err := g.approve(c, p, f.autoApprove); err != nil {
		return record{}, err
	}
	return g.execute(ctx, store, crew, p, id, s.Sensitive, f)
}

// sourceOf is where the scenario of a saved plan lies: as it was named in the folder where
// it was planned, or, on another machine, in this one. What it says is compared.
func sourceOf(saved *plan.Plan) string {
	path := saved.Scenario.Source
	if filepath.IsAbs(path) {
		return path
	}
	if abs := filepath.Join(saved.Workdir, path); !there(path) || there(abs) {
		return abs
	}
	return path
}

// cannotBeMade refuses a saved plan.
func cannotBeMade(err error) error {
	return refused(fmt.Errorf("the plan can no longer be made, nothing was touched: %w", err))
}

// savedPlan reads path as a saved plan; nil when it is none: a folder or HCL.
func savedPlan(path string) (*plan.Plan, error) {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() || strings.HasSuffix(path, ".hcl") {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	p, err := plan.Decode(raw)
	var noJSON *json.SyntaxError
	if errors.As(err, &noJSON) {
		return nil, fmt.Errorf("%s is no saved plan, and no scenario: those are folders, or files that end in .hcl", path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// nothingPending refuses to break anything while something may still be broken.
func nothingPending(ctx context.Context, store *journal.Store) error {
	runs, _, err := recover.Pending(ctx, store)
	if err != nil {
		return err
	}
	if len(runs) == 0 {
		return nil
	}
	state := "has no end"
	if runs[0].Residue > 0 {
		state = "left something broken"
	}
	return refused(fmt.Errorf("run %s %s: put it right with `faultline recover` first; nothing was touched", runs[0].ID, state))
}

// approve shows the plan and asks, when there is somebody to ask.
func (g *global) approve(c *cobra.Command, p *plan.Plan, auto bool) error {
	if auto || !g.onTerminal() {
		return nil
	}
	if err := p.Show(c.OutOrStdout()); err != nil {
		return err
	}
	fmt.Fprint(c.OutOrStdout(), "\nRun this plan? Only \"yes\" is taken for yes: ")
	answer, err := bufio.NewReader(g.process.stdin).ReadString('\n')
	if strings.TrimSpace(answer) != "yes" {
		if err != nil {
			fmt.Fprintln(c.OutOrStdout())
		}
		return refused(errors.New("not approved, nothing was touched"))
	}
	return nil
}

// execute runs a plan and judges the run from its journal, which quotes no secrets.
func (g *global) execute(ctx context.Context, store *journal.Store, crew *crew, p *plan.Plan, id string, secrets []string, f *runFlags) (record, error) {
	w, err := store.Create(id)
	if err != nil {
		return record{}, err
	}
	w.Hide(secrets)
	guardian, err := g.newGuardian(id, w.Dir())
	if err != nil {
		return record{}, errors.Join(err, w.Close())
	}
	defer guardian.dismiss() // after the run is let go: it may have to take it over
	defer w.Close()
	ctx, stop := g.interruptible(ctx)
	defer stop()
	plugins := map[string]run.Plugin{}
	for name, plugin := range crew.plugins {
		plugins[name] = runner{plugin}
	}
	asker := g.newAsker(f, w.Dir())
	view := g.startView(p, id, w.Dir(), asker)
	defer view.Close()
	below := g.logAbove(view.Say)
	defer below()
	err = run.Do(ctx, run.Options{
		Run: id, Epoch: w.Epoch(), Plan: p, Journal: w, Plugins: plugins, Used: crew.used(), Engine: engine(),
		Restart:  crew.restart,
		Debugged: crew.attached(),
		Guarded:  guardian.watches,
		Lock:     store.LockResources,
		Watch:    view.Event,
		Progress: view.Progress,
		Renewed:  view.Renewed,
		Notes:    hear(w.Dir()),
		Ask:      asker.ask,
		Turn:     func(ctx context.Context, e *plan.Experiment) error { return g.takeTurn(ctx, id, e) },
	})
	view.Close()
	below()
	switch {
	case errors.Is(err, run.ErrResidue):
		return record{}, refused(fmt.Errorf("%w; nothing was touched: see `faultline scan`, and put it right with `faultline recover` or by hand", err))
	case err != nil:
		// The record is broken, the system is not: everything was put back.
		return record{}, &exitError{judge.ExitErrored, fmt.Errorf("run %s: %w", id, err)}
	}
	r, err := g.judge(w.Dir())
	if err != nil {
		return record{}, &exitError{judge.ExitErrored, err}
	}
	return r, nil
}

// interruptible ends the context at the first signal that asks for an end, or when
// somebody halts; later signals only say that things are being put back.
func (g *global) interruptible(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 4)
	stop := g.process.notify(signals)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				if ctx.Err() != nil {
					fmt.Fprintln(g.process.stderr, "Still putting everything back.")
				}
				cancel(fmt.Errorf("stopped by the operator (%s)", s))
			case <-done:
				return
			}
		}
	}()
	go func() {
		if h, err := halt.Wait(ctx, g.state()); err == nil {
			cancel(&run.Stop{Cause: "halt", Reason: fmt.Sprintf("halted by %s: %s", h.By, h.Reason)})
		}
	}()
	return ctx, func() {
		stop()
		close(done)
		cancel(nil)
	}
}
