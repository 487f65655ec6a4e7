package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
	"sync"
	"unicode"

	"github.com/faultline-go/faultline/engine/judge"
)

//go:embed html/page.html
var pageTemplate string

//go:embed html/page.css
var pageStyle string

//go:embed html/page.js
var pageScript string

// pageParsed parses the page when it is first wanted.
var pageParsed = sync.OnceValue(func() *template.Template { return template.Must(template.New("page").Parse(pageTemplate)) })

// HTML writes the run as one page that needs nothing else: no network, no file beside
// it and, for all but zooming and reading values off the charts, no JavaScript. The
// result is in it once more as JSON, for the charts and to be saved. before is what is
// known of earlier runs; nil: nothing is said of them.
func HTML(w io.Writer, r *judge.Result, before *Before) error {
	data, step, err := embedded(r)
	if err != nil {
		return fmt.Errorf("embed the result: %w", err)
	}
	bins := binsFor(r)
	p := htmlPage{
		R: r, Title: first(r.Run.Scenario.Title, r.Run.Scenario.Name, r.Run.ID, "Run"), Verdict: verdictView(r.Verdict), Coverage: together(capital(outcomes(r)) + "."),
		Line: runLine(r), Style: template.CSS(pageStyle), Script: template.JS(pageScript), ScriptHash: hashOf(pageScript),
		Data: template.JS(data), Step: step, StepText: length(float64(step)), Guards: guardTable(r), Done: doneFacts(r), Plugins: pluginTable(r), Planned: plannedTable(r),
		Probes: probeTable(r), Sources: sourcesOf(r),
	}
	p.Reasons = unchecked(r)
	for _, reason := range r.Reasons {
		if reason.Verdict != judge.Residue {
			p.Reasons = append(p.Reasons, capital(reason.Text)+".")
		}
	}
	if before != nil {
		p.Since = changeTitle(r, before)
		for _, x := range changeItems(r, before) {
			p.Changes = append(p.Changes, together(capital(x)+"."))
		}
	}
	if len(r.Experiments) != 1 {
		p.Chart = runChart(r, bins)
	}
	for i := range r.Experiments {
		p.Experiments = append(p.Experiments, experimentView(r, i, bins))
	}
	var b bytes.Buffer
	if err := pageParsed().Execute(&b, p); err != nil {
		return fmt.Errorf("fill in the page: %w", err)
	}
	_, err = w.Write(bytes.Map(printable, b.Bytes()))
	return err
}

// printable takes out of the page what text from elsewhere may have in it and no page
// may: control characters. In its JSON they are escaped.
func printable(r rune) rune {
	if r == '\n' || r == '\t' || r == '\r' {
		return r
	}
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// hashOf is how a Content-Security-Policy names an inline script.
func hashOf(script string) string {
	sum := sha256.Sum256([]byte(script))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// maxEmbedded bounds the JSON in a page: beyond it the series get coarser.
const maxEmbedded = 1_400_000

// withSteps is a result whose series say how many seconds an entry has.
type withSteps struct {
	*judge.Result
	Probes []probeWithSteps `json:"probes,omitempty"`
}

type probeWithSteps struct {
	judge.ProbeSummary
	Series seriesWithSteps `json:"series"`
}

type seriesWithSteps struct {
	judge.Series
	Step int `json:"step_s,omitempty"`
}

// embedded is the result as JSON that a script element may hold: no "<" and no "&"
// is in it, whatever the result says. It is the report of -format json unless the run
// was so long that its series have to be in steps of more than a second.
func embedded(r *judge.Result) (data []byte, step int, err error) {
	for step = 1; ; step = nextStep(step, len(data)) {
		if step == 1 {
			data, err = json.Marshal(r)
		} else {
			c := withSteps{Result: r}
			for _, p := range r.Probes {
				c.Probes = append(c.Probes, probeWithSteps{p, seriesWithSteps{coarser(p.Series, step), step}})
			}
			data, err = json.Marshal(c)
		}
		if err != nil || len(data) <= maxEmbedded || step == steps[len(steps)-1] {
			return data, step, err
		}
	}
}

// nextStep is the next step to try, given how much there was with the last one.
func nextStep(step, size int) int {
	for _, s := range steps {
		if s > step && float64(s) >= 0.8*float64(step)*float64(size)/maxEmbedded {
			return s
		}
	}
	return steps[len(steps)-1]
}

// htmlPage is what the template draws.
type htmlPage struct {
	R               *judge.Result
	Title           string
	Verdict         verdict
	Coverage, Line  string
	Reasons         []string
	Since           string   // since when Changes are
	Changes         []string // from the last run
	Style           template.CSS
	Script, Data    template.JS
	ScriptHash      string
	Step            int
	StepText        string
	Chart           *chart
	Experiments     []experimentPart
	Guards, Plugins table
	Planned, Probes table
	Done            []fact
	Sources         []source
}

// verdict is a verdict as the page shows it: never by its colour alone.
type verdict struct {
	Class, Word, Icon string
}

// icons are drawn on a field of 24 by 24.
var icons = map[judge.Verdict]string{
	judge.Held:         "M5 12.5l4.5 4.5L19 7.5",
	judge.Broken:       "M6.5 6.5l11 11M17.5 6.5l-11 11",
	judge.Inconclusive: "M8.5 9a3.5 3.5 0 1 1 5 3.2c-1 .5-1.5 1.2-1.5 2.3M12 18v.01",
	judge.Aborted:      "M10 10h4v4h-4z",
	judge.Errored:      "M12 5.5v8M12 18v.01",
	judge.Residue:      "M12 5.5v8M12 18v.01",
}

func verdictView(v judge.Verdict) verdict {
	icon, ok := icons[v]
	if !ok {
		icon = "M6.5 12h11"
	}
	return verdict{Class: "v-" + string(v), Word: word(v), Icon: icon}
}

// experimentPart is one experiment on the page.
type experimentPart struct {
	E        *judge.Experiment
	ID       string
	Verdict  verdict
	Sentence string
	Place    link
	Also     []string
	Notes    []string
	Chart    *chart
	Tables   []table
	Items    []fact
}

func experimentView(r *judge.Result, i, bins int) experimentPart {
	e := &r.Experiments[i]
	p := experimentPart{E: e, ID: fmt.Sprintf("experiment-%d", i+1), Verdict: verdictView(e.Verdict), Sentence: together(Sentence(e)),
		Place: placeLink(r, e.Place), Chart: experimentChart(r, i, bins)}
	for _, note := range notes(e) {
		p.Notes = append(p.Notes, together(note))
	}
	for k, reason := range e.Reasons {
		if k > 0 {
			p.Also = append(p.Also, together("Also "+word(reason.Verdict)+": "+reason.Text+"."))
		}
	}
	tables := []table{objectiveTable(r, e), faultTable(r, e), gridTable(timesGrid(e))}
	for _, g := range latencyGrids(e) {
		tables = append(tables, gridTable(g))
	}
	for _, t := range tables {
		if !t.Empty() {
			p.Tables = append(p.Tables, t)
		}
	}
	if s := e.EarlyStop; s != nil {
		p.Items = append(p.Items, fact{"Ended early", s.Rule, ""})
	}
	for _, a := range e.Actions {
		p.Items = append(p.Items, fact{"Action " + a.Name, actionText(a), ""})
	}
	for _, x := range e.Prompts {
		p.Items = append(p.Items, fact{"Prompt " + x.Name, promptText(x), ""})
	}
	return p
}

// together keeps a number and its per cent in one line.
func together(s string) string { return strings.ReplaceAll(s, " %", "\u00a0%") }
