package report

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
)

func phases(e judge.Experiment) judge.Experiment {
	e.Phases = []judge.PhaseSpan{{Phase: journal.Baseline, From: *at(0), To: *at(10)}, {Phase: journal.During, From: *at(10), To: *at(30)}, {Phase: journal.After, From: *at(30), To: *at(50)}}
	return e
}

func broke(e judge.Experiment) judge.Experiment {
	e.Residue, e.Faults, e.EarlyStop = false, e.Faults[:1], nil
	e.Objectives[1] = objective(journal.During, judge.Broken, true, 402, 1204, 0.95, 0.361)
	e.Objectives[1].BadLow = ptr(0.3072)
	e.Reasons = e.Reasons[:1]
	return phases(e)
}

// stories are what post-mortems are written about.
func stories() map[string]*judge.Result {
	recovered := broke(broken())
	recovered.Times = judge.Times{Bites: instant(10, 10.15, "docker_kill.web"), Broke: instant(10.1, 10.2, "checkout.available"), Detected: instant(12, 12, "ada lovelace"), Mitigated: instant(20, 20, "ada lovelace"),
		Gone: instant(30, 30, "docker_kill.web"), Steady: instant(31, 31.5, "checkout.available"), Recovered: judge.AfterFaultOff,
		ToImpact: judge.Span{Known: true, Max: 0.2}, ToDetect: judge.Span{Known: true, Min: 1.8, Max: 1.9}, ToMitigate: judge.Span{Known: true, Min: 9.8, Max: 9.9}, ToRecover: judge.Span{Known: true, Min: 1, Max: 1.5}}
	marked := result(recovered)
	marked.Verdict, marked.ExitCode, marked.Run.PlanHash = judge.Broken, 1, "cafe0123"
	marked.Marks = []judge.Mark{{At: *at(12), What: "detected", Text: "pager rang", By: "ada lovelace"}, {At: *at(20), What: "mitigated", By: "ada lovelace"}, {At: *at(25), What: "note", Text: "a | bar and a `quote`", By: "ada lovelace"}}

	unmarked := broke(broken())
	unmarked.Times.Detected, unmarked.Times.ToDetect = judge.Instant{Until: at(50)}, judge.Span{Known: true, Min: 39.8, Censored: true}
	nobody := result(unmarked)
	nobody.Verdict, nobody.ExitCode = judge.Broken, 1

	stopped := phases(open("lose-the-net", judge.Aborted, "stopped by operator: interrupt"))
	stopped.Faults = []judge.Fault{killed("web1")}
	stopped.Faults[0].Planned, stopped.Faults[0].Cause = 60, "abort"
	stopped.Objectives[0].Needed = 299
	aborted := result(stopped)
	aborted.Verdict, aborted.ExitCode = judge.Aborted, 4
	aborted.Abort = &judge.Abort{At: *at(29), Cause: "operator", Reason: "interrupt"}
	aborted.Guards = []judge.GuardTrip{{At: *at(28), Guard: "payments", Reason: "prometheus.payment_errors was 0.3 for 2 s"}}

	return map[string]*judge.Result{"held": result(phases(held())), "marked": marked, "unmarked": nobody, "aborted": aborted, "everything": everything(), "nothing": result()}
}

var sections = []string{"Summary", "Impact", "Trigger", "Detection", "Timeline", "Recovery", "What went well", "What went wrong", "Where we got lucky", "Action items"}

func TestPostmortem(t *testing.T) {
	heading := regexp.MustCompile(`(?m)^## (.*)$`)
	for name, r := range stories() {
		got := write(t, func(w io.Writer) error { return Postmortem(w, r) })
		golden(t, "postmortem-"+name, got)
		text := string(got)
		var found []string
		for _, m := range heading.FindAllStringSubmatch(text, -1) {
			found = append(found, m[1])
		}
		if !slices.Equal(found, sections) {
			t.Errorf("%s: sections %v, want %v", name, found, sections)
		}
		for i, s := range sections {
			part := text[strings.Index(text, "\n## "+s+"\n"):]
			if i+1 < len(sections) {
				part = part[:strings.Index(part, "\n## "+sections[i+1]+"\n")]
			}
			if !strings.Contains(part, "\n> TODO: ") || !strings.Contains(part, "?") && s != "Timeline" {
				t.Errorf("%s: %s asks nothing", name, s)
			}
		}
		for _, want := range []string{"**This was an experiment.**", "run `" + r.Run.ID + "`", "plan `" + r.Run.PlanHash + "`", "faultline report -format postmortem " + r.Run.ID} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: it does not say %q", name, want)
			}
		}
		// Roles, not names.
		for _, who := range []string{"ada", "lovelace"} {
			if regexp.MustCompile(`\b` + who + `\b`).MatchString(text) {
				t.Errorf("%s: it names %s", name, who)
			}
		}
		columns := 0
		for l := range strings.Lines(text) {
			if !strings.HasPrefix(l, "|") {
				columns = 0
				continue
			}
			n := strings.Count(l, "|") - strings.Count(l, `\|`)
			if columns != 0 && n != columns {
				t.Errorf("%s: a row with %d bars in a table with %d: %s", name, n, columns, l)
			}
			columns = n
		}
	}
}

// A number never stands without what it is a share of, and an end that was not seen is
// never given as a length.
func TestPostmortemIsHonest(t *testing.T) {
	for name, want := range map[string][]string{
		"held": {"0 of 1,204 samples bad (0 %), 95 % bounds 0 % and 0.25 %; allowed 5 %: held.", "there was nothing to detect", "1 of 3,204 requests failed"},
		"marked": {"402 of 1,204 samples bad (33.389 %), 95 % bounds 30 % and 37 %; allowed 5 %: broken.", "09:00:12.000, 1.8 s to 1.9 s after steady state first broke",
			"Marked as mitigated at 09:00:20.000, 9.8 s to 9.9 s after", "Steady again 1 s to 1.5 s after the fault was gone", "Steady state was broken for 20.8 s to 21.4 s", "marked: detected: pager rang"},
		"unmarked":   {"Nobody and nothing marked it as detected: more than 39.8 s passed without (censored", "it took more than 39.8 s after steady state first broke (censored", "not seen to come back"},
		"aborted":    {"guard payments tripped", "the run was stopped (operator): interrupt", "web1: put back by engine, after abort", "120 samples, 299 are needed"},
		"everything": {"without bounds as the phase was stopped early", "`faultline recover 20261102T090000-a1b2`", "**Not put back**"},
		"nothing":    {"The run has no experiment.", "No fault was injected."},
	} {
		text := string(write(t, func(w io.Writer) error { return Postmortem(w, stories()[name]) }))
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: it does not say %q", name, w)
			}
		}
	}
}
