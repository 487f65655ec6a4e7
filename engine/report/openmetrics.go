package report

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/faultline-go/faultline/engine/judge"
)

// OpenMetrics writes the run as a text file of OpenMetrics, for node_exporter's textfile
// collector, a Pushgateway or a scrape. Everything is a gauge: a file tells of one run
// and counts nothing on, and so it is also what readers of Prometheus' older text format
// take. No sample has a time of its own, which the textfile collector would refuse; when
// the run was is in metrics.
//
// Series are told apart by the names of scenario, experiment, objective and so on, which
// stay from run to run. Only faultline_run_info names the run.
func OpenMetrics(w io.Writer, r *judge.Result) error {
	m := metrics{w: bufio.NewWriter(w), scenario: first(r.Run.Scenario.Name, "unknown")}
	m.run(r)
	m.experiments(r)
	m.objectives(r)
	m.faults(r)
	m.latencies(r)
	m.text("# EOF\n")
	return m.w.Flush()
}

// verdicts are all that there are, in the order in which they are written.
var verdicts = []judge.Verdict{judge.Held, judge.Broken, judge.Inconclusive, judge.NotExercised, judge.NotDue, judge.NotStarted, judge.Aborted, judge.Errored, judge.Residue}

type metrics struct {
	w        *bufio.Writer
	scenario string
}

// text writes; bufio keeps an error for Flush.
func (m *metrics) text(s string) { _, _ = m.w.WriteString(s) }

// family begins a metric family. Its unit is what its name ends in; "" for none.
func (m *metrics) family(name, unit, help string) {
	m.text("# HELP " + name + " " + help + "\n# TYPE " + name + " gauge\n")
	if unit != "" {
		m.text("# UNIT " + name + " " + unit + "\n")
	}
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// sample writes a sample; labels are names and values by turns.
func (m *metrics) sample(name string, v float64, labels ...string) {
	m.text(name + `{scenario="` + labelEscapes.Replace(valid(m.scenario)) + `"`)
	for i := 0; i < len(labels); i += 2 {
		m.text("," + labels[i] + `="` + labelEscapes.Replace(valid(labels[i+1])) + `"`)
	}
	m.text("} " + strconv.FormatFloat(v, 'g', -1, 64) + "\n")
}

// valid is text in UTF-8 without control characters, as a label may have it.
func valid(s string) string { return strings.ToValidUTF8(clean(s), "\ufffd") }

// verdict writes a set of states: 1 for the one that is, 0 for the others.
func (m *metrics) verdict(name string, v judge.Verdict, labels ...string) {
	for _, x := range verdicts {
		m.sample(name, truth(v == x), append(labels[:len(labels):len(labels)], "verdict", string(x))...)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

func (m *metrics) run(r *judge.Result) {
	m.family("faultline_run_info", "", "Which run the file tells of.")
	m.sample("faultline_run_info", 1, "run", r.Run.ID, "seed", strconv.FormatInt(r.Run.Seed, 10), "plan_hash", r.Run.PlanHash,
		"version", r.Run.Engine.Version, "git_commit", r.Run.Scenario.GitCommit)
	m.family("faultline_run_verdict", "", "1 for the verdict of the run, 0 for the others.")
	m.verdict("faultline_run_verdict", r.Verdict)
	m.family("faultline_run_exit_code", "", "The exit code of the run, without leniency.")
	m.sample("faultline_run_exit_code", float64(r.ExitCode))
	m.family("faultline_run_residue", "", "How many things could not be put back.")
	m.sample("faultline_run_residue", float64(len(r.Residue)))
	m.family("faultline_run_unchecked_plugins", "", "How many plugins were started although nothing vouched for them.")
	m.sample("faultline_run_unchecked_plugins", float64(len(unchecked(r))))
	m.family("faultline_run_start_timestamp_seconds", "seconds", "When the run began.")
	m.sample("faultline_run_start_timestamp_seconds", unixSeconds(r.Run.Started))
	if r.Run.Ended != nil {
		m.family("faultline_run_end_timestamp_seconds", "seconds", "When the run ended.")
		m.sample("faultline_run_end_timestamp_seconds", unixSeconds(*r.Run.Ended))
	}
	m.family("faultline_run_duration_seconds", "seconds", "How long the run took.")
	m.sample("faultline_run_duration_seconds", r.Run.Duration)
}

func (m *metrics) experiments(r *judge.Result) {
	m.family("faultline_experiment_verdict", "", "1 for the verdict of the experiment, 0 for the others.")
	for _, e := range r.Experiments {
		m.verdict("faultline_experiment_verdict", e.Verdict, "experiment", e.Name)
	}
	for _, t := range []struct {
		name, help string
		span       func(*judge.Times) judge.Span
	}{
		{"faultline_experiment_impact_seconds", "From the fault to the first broken steady state, at least and at most.", func(t *judge.Times) judge.Span { return t.ToImpact }},
		{"faultline_experiment_detect_seconds", "From the first broken steady state until it was noticed, at least and at most.", func(t *judge.Times) judge.Span { return t.ToDetect }},
		{"faultline_experiment_mitigate_seconds", "From the first broken steady state until users were no longer hurt, at least and at most.", func(t *judge.Times) judge.Span { return t.ToMitigate }},
		{"faultline_experiment_recover_seconds", "Until the system was steady again, at least and at most; without a most when that was not seen.", func(t *judge.Times) judge.Span { return t.ToRecover }},
	} {
		m.family(t.name, "seconds", t.help)
		for i := range r.Experiments {
			e := &r.Experiments[i]
			span := t.span(&e.Times)
			if !span.Known {
				continue
			}
			m.sample(t.name, span.Min, "experiment", e.Name, "bound", "min")
			if !span.Censored {
				m.sample(t.name, span.Max, "experiment", e.Name, "bound", "max")
			}
		}
	}
}

func (m *metrics) objectives(r *judge.Result) {
	each := func(name, unit, help string, write func(o *judge.ObjectiveResult, labels []string)) {
		m.family(name, unit, help)
		for i := range r.Experiments {
			e := &r.Experiments[i]
			for k := range e.Objectives {
				o := &e.Objectives[k]
				labels := []string{"experiment", e.Name, "objective", o.Objective, "phase", string(o.Phase)}
				write(o, labels[:len(labels):len(labels)])
			}
		}
	}
	each("faultline_objective_samples", "", "Samples of the phase by what they are to the objective.", func(o *judge.ObjectiveResult, labels []string) {
		m.sample("faultline_objective_samples", float64(o.N-o.Bad), append(labels, "outcome", "good")...)
		m.sample("faultline_objective_samples", float64(o.Bad), append(labels, "outcome", "bad")...)
		m.sample("faultline_objective_samples", float64(o.Missing), append(labels, "outcome", "missing")...)
	})
	each("faultline_objective_target_ratio", "ratio", "The share of samples that must be good.", func(o *judge.ObjectiveResult, labels []string) {
		m.sample("faultline_objective_target_ratio", o.Target, labels...)
	})
	each("faultline_objective_bad_ratio", "ratio", "Bounds of the true share of bad samples, each with a confidence of 95 %.", func(o *judge.ObjectiveResult, labels []string) {
		if o.BadLow != nil {
			m.sample("faultline_objective_bad_ratio", *o.BadLow, append(labels, "bound", "low")...)
		}
		if o.BadHigh != nil {
			m.sample("faultline_objective_bad_ratio", *o.BadHigh, append(labels, "bound", "high")...)
		}
	})
	each("faultline_objective_verdict", "", "1 for the verdict of an objective in a phase that counts, 0 for the others.", func(o *judge.ObjectiveResult, labels []string) {
		if o.Judged {
			for _, v := range []judge.Verdict{judge.Held, judge.Broken, judge.Inconclusive} {
				m.sample("faultline_objective_verdict", truth(o.Verdict == v), append(labels, "verdict", string(v))...)
			}
		}
	})
}

func (m *metrics) faults(r *judge.Result) {
	type sum struct{ active, injections, targets, bitten float64 }
	families := []struct {
		name, unit, help string
		of               func(sum) float64
	}{
		{"faultline_fault_active_seconds", "seconds", "How long the fault was on, all its injections together.", func(s sum) float64 { return s.active }},
		{"faultline_fault_injections", "", "How often it was injected.", func(s sum) float64 { return s.injections }},
		{"faultline_fault_targets", "", "How many targets it was meant for, all its injections together.", func(s sum) float64 { return s.targets }},
		{"faultline_fault_targets_hit", "", "On how many of these targets an effect was measured.", func(s sum) float64 { return s.bitten }},
	}
	type key struct{ experiment, fault string }
	var order []key
	sums := map[key]sum{}
	for _, e := range r.Experiments {
		for _, f := range e.Faults {
			k := key{e.Name, f.Name}
			s, ok := sums[k]
			if !ok {
				order = append(order, k)
			}
			s.active += f.Active
			s.injections++
			for _, t := range f.Targets {
				s.targets++
				s.bitten += truth(t.Bites)
			}
			sums[k] = s
		}
	}
	for _, f := range families {
		m.family(f.name, f.unit, f.help)
		for _, k := range order {
			m.sample(f.name, f.of(sums[k]), "experiment", k.experiment, "fault", k.fault)
		}
	}
}

func (m *metrics) latencies(r *judge.Result) {
	m.family("faultline_latency_seconds", "seconds", "Quantiles of the latency of successful samples, where there were enough.")
	for _, e := range r.Experiments {
		for _, l := range e.Latencies {
			for _, q := range l.Quantiles {
				if q.Defined {
					m.sample("faultline_latency_seconds", q.Value, "experiment", e.Name, "probe", l.Probe, "phase", string(l.Phase), "q", strconv.FormatFloat(q.Q, 'g', -1, 64))
				}
			}
		}
	}
}
