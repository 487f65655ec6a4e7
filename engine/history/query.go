package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/faultline-go/faultline/engine/judge"
)

// Run is one run of a list.
type Run struct {
	ID          string
	State       string // Ended, Unfinished, Unreadable
	Error       string // why it cannot be read
	Scenario    string
	Environment string
	Title       string
	Started     time.Time
	Duration    float64 // seconds
	Verdict     judge.Verdict
	ExitCode    int
	Residue     int
	Found       []string // experiments that held the last time that they showed something, and are broken
	Fixed       []string // the reverse
}

// Filter chooses runs. The zero value takes all.
type Filter struct {
	Scenario string
	Most     int // only the latest so many; 0: all
}

const runColumns = "id, state, error, scenario, environment, title, started, duration_s, verdict, exit_code, residue"

func scanRun(r *sql.Rows, x *Run) error {
	var started int64
	err := r.Scan(&x.ID, &x.State, &x.Error, &x.Scenario, &x.Environment, &x.Title, &started, &x.Duration, &x.Verdict, &x.ExitCode, &x.Residue)
	x.Started = moment(started)
	return err
}

// Runs lists runs, oldest first.
func (x *Index) Runs(ctx context.Context, f Filter) ([]Run, error) {
	most := f.Most
	if most <= 0 {
		most = -1
	}
	runs, err := list(ctx, x.db, "SELECT "+runColumns+" FROM (SELECT * FROM runs WHERE ?1 = '' OR scenario = ?1 ORDER BY id DESC LIMIT ?2) ORDER BY id",
		scanRun, f.Scenario, most)
	if err != nil || len(runs) == 0 {
		return runs, readError(err)
	}
	at := make(map[string]int, len(runs))
	for i, r := range runs {
		at[r.ID] = i
	}
	type edge struct{ run, name, verdict string }
	query := edgesQuery
	if f.Most > 0 {
		query = lateEdgesQuery
	}
	edges, err := list(ctx, x.db, query, func(r *sql.Rows, e *edge) error { return r.Scan(&e.run, &e.name, &e.verdict) },
		f.Scenario, runs[0].ID)
	for _, e := range edges {
		i, ok := at[e.run]
		switch {
		case !ok:
		case e.verdict == string(judge.Broken):
			runs[i].Found = append(runs[i].Found, e.name)
		default:
			runs[i].Fixed = append(runs[i].Fixed, e.name)
		}
	}
	return runs, readError(err)
}

// An edge is where an experiment's verdict is another one than the last time that it
// showed something: what is inconclusive in between changes nothing.
const edgesQuery = `SELECT run, name, verdict FROM (
	SELECT run, name, verdict, LAG(verdict) OVER (PARTITION BY scenario, environment, name ORDER BY run) before
	FROM experiments WHERE verdict IN ('held', 'broken') AND (?1 = '' OR scenario = ?1)
) WHERE before <> verdict AND run >= ?2 ORDER BY run, name`

// The same, quicker where only the latest of many runs are asked for.
const lateEdgesQuery = `SELECT run, name, verdict FROM experiments e
WHERE run >= ?2 AND verdict IN ('held', 'broken') AND (?1 = '' OR scenario = ?1) AND verdict <> (
	SELECT verdict FROM experiments p WHERE p.scenario = e.scenario AND p.environment = e.environment AND p.name = e.name
	AND p.run < e.run AND p.verdict IN ('held', 'broken') ORDER BY p.run DESC LIMIT 1
) ORDER BY run, name`

// Experiment is what the runs of an experiment have come to.
type Experiment struct {
	Scenario    string
	Environment string
	Name        string
	Runs        int
	Verdict     judge.Verdict // of the last run
	Reason      string
	Run         string    // the last one
	Started     time.Time // of that
	Streak      int       // so many runs in a row have had that verdict
	LastHeld    time.Time // zero: never
	LastHeldRun string
}

// Experiments lists every experiment that was ever run, by scenario, environment and
// name.
func (x *Index) Experiments(ctx context.Context, f Filter) ([]Experiment, error) {
	type row struct {
		scenario, environment, name, run string
		verdict                          judge.Verdict
	}
	var out []Experiment
	// By run within each experiment, as the primary key has it.
	rows, err := list(ctx, x.db, `SELECT scenario, environment, name, run, verdict FROM experiments
		WHERE ?1 = '' OR scenario = ?1 ORDER BY scenario, environment, name, run`,
		func(r *sql.Rows, v *row) error {
			return r.Scan(&v.scenario, &v.environment, &v.name, &v.run, &v.verdict)
		}, f.Scenario)
	if err != nil {
		return nil, readError(err)
	}
	for _, r := range rows {
		if n := len(out); n == 0 || out[n-1].Scenario != r.scenario || out[n-1].Environment != r.environment || out[n-1].Name != r.name {
			out = append(out, Experiment{Scenario: r.scenario, Environment: r.environment, Name: r.name})
		}
		e := &out[len(out)-1]
		if e.Verdict != r.verdict {
			e.Streak = 0
		}
		e.Runs++
		e.Streak++
		e.Verdict, e.Run = r.verdict, r.run
		if r.verdict == judge.Held {
			e.LastHeldRun = r.run
		}
	}
	for i := range out {
		e := &out[i]
		var started, held int64
		err := x.db.QueryRowContext(ctx, `SELECT reason, (SELECT started FROM runs WHERE id = ?4), coalesce((SELECT started FROM runs WHERE id = ?5), 0)
			FROM experiments WHERE scenario = ?1 AND environment = ?2 AND name = ?3 AND run = ?4`,
			e.Scenario, e.Environment, e.Name, e.Run, e.LastHeldRun).Scan(&e.Reason, &started, &held)
		if err != nil {
			return nil, readError(err)
		}
		e.Started, e.LastHeld = moment(started), moment(held)
	}
	return out, nil
}

// Past is what the history knows of an experiment up to a run.
type Past struct {
	Verdict  judge.Verdict // held or broken, the last time that it showed something; empty: never
	LastHeld time.Time     // zero: never
}

// Before says what the history has of a scenario's experiments from before a run.
func (x *Index) Before(ctx context.Context, scenario, environment, run string) (map[string]Past, error) {
	type row struct {
		name, verdict string
		started       int64
	}
	rows, err := list(ctx, x.db, `SELECT e.name, e.verdict, r.started FROM experiments e JOIN runs r ON r.id = e.run
		WHERE e.scenario = ? AND e.environment = ? AND e.run < ? AND e.verdict IN ('held', 'broken') ORDER BY e.name, e.run`,
		func(r *sql.Rows, v *row) error { return r.Scan(&v.name, &v.verdict, &v.started) }, scenario, environment, run)
	if err != nil {
		return nil, readError(err)
	}
	out := map[string]Past{}
	for _, r := range rows {
		p := out[r.name]
		if p.Verdict = judge.Verdict(r.verdict); p.Verdict == judge.Held {
			p.LastHeld = moment(r.started)
		}
		out[r.name] = p
	}
	return out, nil
}

// Last is the latest run of a scenario in an environment before another run, or of
// those with a verdict; ErrNoRun when there is none.
func (x *Index) Last(ctx context.Context, scenario, environment, before string, verdict judge.Verdict) (Run, error) {
	runs, err := list(ctx, x.db, "SELECT "+runColumns+` FROM runs WHERE scenario = ? AND environment = ? AND id < ? AND state = 'ended'
		AND (?4 = '' OR verdict = ?4) ORDER BY id DESC LIMIT 1`, scanRun, scenario, environment, before, verdict)
	if err != nil {
		return Run{}, readError(err)
	}
	if len(runs) == 0 {
		return Run{}, ErrNoRun
	}
	return runs[0], nil
}

// Result is what the index has of a run's result: the run, and its experiments with
// everything that a comparison needs. It lacks the courses of the probes, the texts of
// the scenario, guards, marks, warnings and what was left behind.
func (x *Index) Result(ctx context.Context, run string) (*judge.Result, error) {
	r := &judge.Result{Format: judge.Format}
	var state string
	err := x.db.QueryRowContext(ctx, "SELECT state, verdict, exit_code FROM runs WHERE id = ?", run).Scan(&state, &r.Verdict, &r.ExitCode)
	if errors.Is(err, sql.ErrNoRows) || err == nil && state == Unreadable {
		return nil, fmt.Errorf("run %s: %w", run, ErrNoRun)
	}
	if err != nil {
		return nil, readError(err)
	}
	r.Unfinished = state == Unfinished
	type row struct {
		place int
		raw   []byte
	}
	rows, err := list(ctx, x.db, "SELECT place, result FROM details WHERE run = ? ORDER BY place",
		func(r *sql.Rows, v *row) error { return r.Scan(&v.place, &v.raw) }, run)
	if err != nil {
		return nil, readError(err)
	}
	for _, d := range rows {
		var err error
		if d.place < 0 {
			err = json.Unmarshal(d.raw, &r.Run)
		} else {
			var e judge.Experiment
			err = json.Unmarshal(d.raw, &e)
			r.Experiments = append(r.Experiments, e)
		}
		if err != nil {
			return nil, fmt.Errorf("read the index of runs: run %s: %w", run, err)
		}
	}
	return r, nil
}

// Tried is a fault type on a group of targets, over all runs of a scenario.
type Tried struct {
	Scenario    string
	Environment string
	Experiment  string
	Type        string
	TargetBlock string
	Kind        string
	Last        time.Time // when it last bit a target
	Verdict     judge.Verdict
	LastHeld    time.Time // zero: never
	Runs        int
}

// Tried lists what was ever done to whom: faults that bit a target, and what their
// experiment came to.
func (x *Index) Tried(ctx context.Context) ([]Tried, error) {
	type row struct {
		Tried
		run     string
		started int64
	}
	rows, err := list(ctx, x.db, `SELECT DISTINCT f.scenario, f.environment, f.experiment, f.type, f.target_block, f.kind, f.verdict, f.run, r.started
		FROM faults f JOIN runs r ON r.id = f.run WHERE f.bites
		ORDER BY f.scenario, f.environment, f.experiment, f.type, f.target_block, f.kind, f.run`,
		func(r *sql.Rows, v *row) error {
			return r.Scan(&v.Scenario, &v.Environment, &v.Experiment, &v.Type, &v.TargetBlock, &v.Kind, &v.Verdict, &v.run, &v.started)
		})
	if err != nil {
		return nil, readError(err)
	}
	var out []Tried
	for _, r := range rows {
		same := func(a Tried) bool {
			return a.Scenario == r.Scenario && a.Environment == r.Environment && a.Experiment == r.Experiment && a.Type == r.Type && a.TargetBlock == r.TargetBlock && a.Kind == r.Kind
		}
		if n := len(out); n == 0 || !same(out[n-1]) {
			out = append(out, r.Tried)
		}
		t := &out[len(out)-1]
		t.Runs++
		t.Last, t.Verdict = moment(r.started), r.Verdict
		if r.Verdict == judge.Held {
			t.LastHeld = t.Last
		}
	}
	return out, nil
}

func readError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read the index of runs: %w", err)
}
