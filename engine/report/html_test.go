package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/judge"
)

const hostile = `tcp.</script><script>alert(1)</script><img src=x onerror=alert(2)>"'&`

// drawn is a run of a minute with a course that is easy to check: 50 requests a second,
// half of them bad from second 21 to 23 and 5 missing in second 30; a value that is bad
// from 22 to 27 though the probe is ok; and a probe with a hostile name. The experiment
// begins a quarter of a second after a second of the clock.
func drawn() *judge.Result {
	e := broken()
	e.Name, e.Place, e.Residue = "lose-two-webs", "day.hcl:2", false
	e.Started, e.Ended = at(0.25), at(60)
	e.Phases = []judge.PhaseSpan{{Phase: journal.Baseline, From: *at(0.25), To: *at(20)}, {Phase: journal.During, From: *at(20), To: *at(40), Cut: true}, {Phase: journal.After, From: *at(40), To: *at(60)}}
	for i := range e.Objectives {
		e.Objectives[i].Place = "day.hcl:3"
	}
	deep := objective(journal.During, judge.Broken, true, 6, 20, 0.9, 0.5)
	deep.Objective, deep.Probe, deep.Good = "queue.short", "prometheus.queue", "sample.value < 100"
	odd := objective(journal.During, judge.Held, true, 0, 20, 0.9, 0.05)
	odd.Objective, odd.Probe = "store.up", hostile
	e.Objectives = append(e.Objectives, deep, odd)
	for i := range e.Faults {
		e.Faults[i].Injected, e.Faults[i].Reverted, e.Faults[i].Place = at(20+float64(5*i)), at(40), "day.hcl:7"
		e.Faults[i].Config, e.Faults[i].Planned, e.Faults[i].Lease = json.RawMessage(`{"signal":"KILL","note":"</script>"}`), 20, 15
	}
	e.EarlyStop.At = *at(39)
	e.Prompts = []judge.Prompt{{Name: "ready", At: *at(5), Question: "Is everybody there?", Answer: "continue", By: "operator", Took: 3}}
	r := result(e)
	r.Verdict, r.ExitCode = judge.Broken, 1
	r.Run.Duration, r.Run.Ended = 60, at(60)
	r.Run.Plugins = []judge.Plugin{{Name: "docker", Version: "0.1.0", SHA256: strings.Repeat("ab", 32)}}
	r.Run.Scenario.GitCommit, r.Run.PlanHash, r.Run.Engine.User = "0123abc-dirty", strings.Repeat("cd", 32), "ci"
	r.Run.Sources = []journal.Source{{Path: "day.hcl", SHA256: strings.Repeat("ef", 32), Text: "# </pre><script>alert(3)</script>\nexperiment \"x\" {\n}\n\n\n\nfault {}\n"}}
	r.Run.Guards = []judge.Guard{{Name: "payments", Probe: "prometheus.queue", Good: "sample.value < 1000", For: 2}}
	r.Guards = []judge.GuardTrip{{At: *at(38), Guard: "payments", Reason: "prometheus.queue was 1200 for 2 s"}}
	r.Marks = []judge.Mark{{At: *at(24), What: "detected", Text: "pager rang", By: "on call"}, {At: *at(31), What: "note", Text: "</script><b>x"}}
	r.Warnings = []judge.Warning{{Text: "the clock stood still"}}

	n := 60
	shop := judge.Series{Start: day, OK: make([]int, n), Failed: make([]int, n), Missing: make([]int, n), Median: make([]float64, n), Max: make([]float64, n)}
	queue := judge.Series{Start: day, OK: make([]int, n), Failed: make([]int, n), Missing: make([]int, n), Median: slices.Repeat([]float64{0.003}, n), Max: slices.Repeat([]float64{0.004}, n), Value: make([]*float64, n)}
	short := judge.ObjectiveSeries{Objective: "queue.short", Good: make([]int, n), Bad: make([]int, n)}
	store := judge.Series{Start: day, OK: slices.Repeat([]int{1}, n), Failed: make([]int, n), Missing: make([]int, n), Median: slices.Repeat([]float64{0.0005}, n), Max: slices.Repeat([]float64{0.0007}, n)}
	for i := range n {
		shop.OK[i], shop.Median[i], shop.Max[i] = 50, 0.01+float64(i%5)/1000, 0.1
		if i >= 21 && i <= 23 {
			shop.OK[i], shop.Failed[i], shop.Median[i], shop.Max[i] = 25, 25, 0.25, 0.9
		}
		queue.OK[i], short.Good[i], queue.Value[i] = 1, 1, ptr(40+float64(i))
		if i >= 22 && i <= 27 {
			short.Good[i], short.Bad[i], queue.Value[i] = 0, 1, ptr(150)
		}
	}
	shop.OK[30], shop.Missing[30] = 45, 5
	shop.OK[50], shop.Missing[50], shop.Median[50], shop.Max[50] = 0, 50, -1, -1
	queue.Objectives = []judge.ObjectiveSeries{short}
	r.Probes = nil
	for i, s := range []judge.Series{shop, queue, store} {
		p := judge.ProbeSummary{Probe: []string{"http.checkout", "prometheus.queue", hostile}[i], Series: s}
		for k := range s.OK {
			p.Samples += s.OK[k] + s.Failed[k] + s.Missing[k]
			p.Failed += s.Failed[k]
			p.Missing += s.Missing[k]
		}
		r.Probes = append(r.Probes, p)
	}
	return r
}

func htmlOf(t *testing.T, r *judge.Result) []byte {
	t.Helper()
	return write(t, func(w io.Writer) error { return HTML(w, r, nil) })
}

// elements are those of a parsed page, in its order.
func elements(t *testing.T, raw []byte) []*html.Node {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var all []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, n)
		}
	}
	return all
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// Whatever a result says, the page has two scripts: its data, and ours, whose hash is
// the only one that the policy lets run.
func TestHTMLCannotBeBrokenOutOf(t *testing.T) {
	r := drawn()
	r.Run.ID, r.Run.Scenario.Title = hostile, hostile
	r.Experiments[0].Name, r.Experiments[0].Hypothesis = hostile, hostile
	raw := htmlOf(t, r)
	scripts, policy := 0, ""
	for _, n := range elements(t, raw) {
		switch n.Data {
		case "script":
			scripts++
			if attr(n, "type") == "application/json" {
				var back judge.Result
				if err := json.Unmarshal([]byte(n.FirstChild.Data), &back); err != nil {
					t.Fatal(err)
				}
				if back.Probes[2].Probe != hostile {
					t.Errorf("the probe is called %q", back.Probes[2].Probe)
				}
			} else if want := "default-src 'none'; style-src 'unsafe-inline'; script-src '" + hashOf(n.FirstChild.Data) + "'; img-src data:; base-uri 'none'; form-action 'none'"; policy != want {
				t.Errorf("the policy is %s, want %s", policy, want)
			}
		case "meta":
			if attr(n, "http-equiv") == "Content-Security-Policy" {
				policy = attr(n, "content")
			}
		case "img", "b", "iframe", "object", "base":
			t.Errorf("there is a <%s>", n.Data)
		case "link":
			if attr(n, "href") != "data:," {
				t.Errorf("link to %q", attr(n, "href"))
			}
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || (a.Key == "href" || a.Key == "src") && !strings.HasPrefix(a.Val, "#") && a.Val != "data:," {
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
	}
	if scripts != 2 {
		t.Errorf("%d scripts, want 2", scripts)
	}
}

func TestHTMLSaysEverything(t *testing.T) {
	r := everything()
	r.Run.Sources = drawn().Run.Sources
	raw := htmlOf(t, r)
	var body *html.Node
	var ids []string
	for _, n := range elements(t, raw) {
		if n.Data == "body" {
			body = n
		}
		if id := attr(n, "id"); id != "" {
			if slices.Contains(ids, id) {
				t.Errorf("two elements are called %s", id)
			}
			ids = append(ids, id)
		}
	}
	for _, n := range elements(t, raw) {
		if h := attr(n, "href"); strings.HasPrefix(h, "#") && !slices.Contains(ids, h[1:]) {
			t.Errorf("a link leads to %s, which is not there", h)
		}
		if n.Data == "table" && (n.FirstChild.NextSibling == nil || n.FirstChild.NextSibling.Data != "caption") {
			t.Error("a table without a caption")
		}
		if n.Data == "th" && attr(n, "scope") == "" {
			t.Errorf("the head %q has no scope", textOf(n))
		}
	}
	text := strings.ReplaceAll(textOf(body), "\u00a0", " ")
	want := []string{"faultline recover 20261102T090000-a1b2", "payments", "operator: interrupt", "pager rang", "the clock stood still", "something was left",
		"300 × connection refused", "exec.warm_up", "design effect 4.2", "more than 39.8 s", "needs 368", "1,204", "the journal could not be closed", "cafe"}
	for i := range r.Experiments {
		want = append(want, Sentence(&r.Experiments[i]), r.Experiments[i].Hypothesis)
	}
	for _, w := range want {
		if !strings.Contains(text, strings.Join(strings.Fields(clean(w)), " ")) {
			t.Errorf("the page does not say %q", w)
		}
	}
}

// The bins of a chart have what the series have, whatever their length.
func TestBinsKeepTheCounts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := 1 + rng.IntN(500)
		s := judge.Series{Start: day, OK: make([]int, n), Failed: make([]int, n), Missing: make([]int, n), Median: make([]float64, n), Max: make([]float64, n)}
		o := judge.ObjectiveSeries{Objective: "o", Good: make([]int, n), Bad: make([]int, n)}
		var ok, failed, missing, good, bad, slowest = 0, 0, 0, 0, 0, -1.0
		for k := range n {
			s.OK[k], s.Failed[k], s.Missing[k], s.Median[k], s.Max[k] = rng.IntN(100), rng.IntN(3), rng.IntN(2), rng.Float64(), 1+rng.Float64()
			o.Good[k] = rng.IntN(s.OK[k] + 1)
			o.Bad[k] = s.OK[k] + s.Failed[k] - o.Good[k]
			ok, failed, missing, good, bad, slowest = ok+s.OK[k], failed+s.Failed[k], missing+s.Missing[k], good+o.Good[k], bad+o.Bad[k], max(slowest, s.Max[k])
		}
		s.Objectives = []judge.ObjectiveSeries{o}
		before, after, step := rng.IntN(20), rng.IntN(20), 1+rng.IntN(90)
		for objective, want := range map[int][3]int{-1: {ok, failed, missing}, 0: {good, bad, missing}} {
			var got [3]int
			most := -1.0
			for _, b := range binsOf(&s, objective, -before, before+n+after, step) {
				got[0], got[1], got[2], most = got[0]+b.Good, got[1]+b.Bad, got[2]+b.Missing, max(most, b.Max)
			}
			if got != want || most != slowest {
				t.Fatalf("%d seconds in steps of %d: counts %v, slowest %v; want %v, %v", n, step, got, most, want, slowest)
			}
		}
		c := coarser(s, step)
		var got [3]int
		for k := range c.OK {
			got[0], got[1], got[2] = got[0]+c.OK[k], got[1]+c.Failed[k], got[2]+c.Missing[k]
		}
		if got != [3]int{ok, failed, missing} {
			t.Fatalf("coarser: %v, want %v", got, [3]int{ok, failed, missing})
		}
	}
}

// long is a run with so many seconds and probes, with 100 samples a second.
func long(seconds, probes int) *judge.Result {
	rng := rand.New(rand.NewPCG(3, 4))
	e := held()
	end := day.Add(time.Duration(seconds) * time.Second)
	e.Ended = &end
	third := day.Add(time.Duration(seconds/3) * time.Second)
	e.Phases = []judge.PhaseSpan{{Phase: journal.Baseline, From: day, To: third}, {Phase: journal.During, From: third, To: end}}
	r := result()
	r.Probes = nil
	for p := range probes {
		s := judge.Series{Start: day}
		o := judge.ObjectiveSeries{Objective: fmt.Sprintf("shop.fast_%d", p)}
		for range seconds {
			bad := max(rng.IntN(40)-36, 0)
			s.OK, s.Failed, s.Missing = append(s.OK, 100-bad), append(s.Failed, bad), append(s.Missing, 0)
			s.Median = append(s.Median, float64(8000+rng.IntN(9000))/1e6)
			s.Max = append(s.Max, float64(90_000+rng.IntN(900_000))/1e6)
			o.Good, o.Bad = append(o.Good, 98-bad), append(o.Bad, bad+2)
		}
		s.Objectives = []judge.ObjectiveSeries{o}
		name := fmt.Sprintf("http.checkout_%d", p)
		r.Probes = append(r.Probes, judge.ProbeSummary{Probe: name, Samples: 100 * seconds, Series: s})
		for _, phase := range []journal.Phase{journal.Baseline, journal.During} {
			x := objective(phase, judge.Held, true, 10, 1000, 0.95, 0.02)
			x.Objective, x.Probe = o.Objective, name
			e.Objectives = append(e.Objectives, x)
		}
	}
	r.Experiments = []judge.Experiment{e}
	r.Run.Duration, r.Run.Ended = float64(seconds), &end
	return r
}

// An hour with ten probes is there by the second; what is longer gets coarser. Both
// keep the page small, and the counts as they are.
// What changed is said where the history is known, and nothing where it is not.
func TestHTMLSaysWhatChanged(t *testing.T) {
	r := everything()
	page := string(write(t, func(w io.Writer) error { return HTML(w, r, earlier(r)) }))
	if !strings.Contains(page, `<h2 id="since">Since the last run, `) || !strings.Contains(page, "<li>Issue f") {
		t.Error("the page does not say what changed since the last run")
	}
	first := string(write(t, func(w io.Writer) error { return HTML(w, r, &Before{}) }))
	if !strings.Contains(first, `<h2 id="since">This is the first run`) {
		t.Error("the page does not say that it is of the first run")
	}
	if strings.Contains(string(htmlOf(t, r)), `id="since"`) {
		t.Error("the page speaks of earlier runs that nobody has told it of")
	}
}

func TestHTMLStaysSmall(t *testing.T) {
	for _, tc := range []struct {
		name            string
		seconds, probes int
	}{{"an hour, 10 probes", 3600, 10}, {"a day, 30 probes", 86400, 30}} {
		r := long(tc.seconds, tc.probes)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begin := time.Now()
		raw := htmlOf(t, r)
		took := time.Since(begin)
		runtime.ReadMemStats(&after)
		used := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %d bytes in %v, with %d MB in all", tc.name, len(raw), took, used>>20)
		if len(raw) >= 2_000_000 {
			t.Errorf("%s: %d bytes", tc.name, len(raw))
		}
		if tc.seconds == 3600 && (took > 3*time.Second || used > 300<<20) {
			t.Errorf("%s: took %v and %d MB", tc.name, took, used>>20)
		}
		for _, n := range elements(t, raw) {
			if attr(n, "type") != "application/json" {
				continue
			}
			var back struct {
				Probes []struct {
					Series struct {
						OK   []int `json:"ok"`
						Step int   `json:"step_s"`
					} `json:"series"`
				} `json:"probes"`
			}
			if err := json.Unmarshal([]byte(n.FirstChild.Data), &back); err != nil {
				t.Fatal(err)
			}
			if len(back.Probes) != tc.probes {
				t.Fatalf("%d probes, want %d", len(back.Probes), tc.probes)
			}
			for i, p := range back.Probes {
				got, want := 0, 0
				for _, ok := range p.Series.OK {
					got += ok
				}
				for _, ok := range r.Probes[i].Series.OK {
					want += ok
				}
				if got != want {
					t.Errorf("%s: %d ok in the page, %d in the result", tc.name, got, want)
				}
				if len(p.Series.OK)*max(p.Series.Step, 1) < tc.seconds {
					t.Errorf("%s: %d entries of %d s", tc.name, len(p.Series.OK), p.Series.Step)
				}
			}
		}
	}
}

// No run is so odd that there is no page of it.
func TestHTMLOfOddRuns(t *testing.T) {
	empty := &judge.Result{Verdict: judge.Errored}
	backwards := drawn()
	backwards.Experiments[0].Started, backwards.Experiments[0].Ended = at(60), at(0)
	far := drawn()
	far.Run.Started = time.Time{}
	far.Run.Duration = 1e15
	none := drawn()
	none.Probes = nil
	open := drawn()
	open.Run.Ended, open.Unfinished, open.Experiments[0].Ended = nil, true, nil
	open.Experiments[0].Faults[0].Reverted = nil
	many := drawn()
	for i := range 40 {
		f := killed(fmt.Sprintf("web%d", i))
		many.Experiments[0].Faults = append(many.Experiments[0].Faults, f)
	}
	flat := drawn()
	for k := range flat.Probes[1].Series.Value {
		flat.Probes[1].Series.Value[k] = ptr(0)
		flat.Probes[0].Series.Median[k], flat.Probes[0].Series.Max[k] = 0, 0
	}
	huge := drawn()
	huge.Probes[1].Series.Value[3], huge.Probes[1].Series.Value[4] = ptr(1.7e308), ptr(-1.7e308)
	for name, r := range map[string]*judge.Result{"empty": empty, "backwards": backwards, "far": far, "none": none, "open": open, "many": many, "flat": flat, "huge": huge} {
		raw := htmlOf(t, r)
		if bytes.Contains(raw, []byte("ZgotmplZ")) || bytes.Contains(raw, []byte("NaN")) || bytes.Contains(raw, []byte("Inf")) {
			t.Errorf("%s: the page has something in it that is no number or no text", name)
		}
	}
}

// Every moment has a flag, or is within the numbers of one.
func TestFlags(t *testing.T) {
	c := &chart{Len: 10_000, Events: []moment{{A: 0}, {A: 0}, {A: 0}, {A: 100}, {A: 200}, {A: 5000}, {A: 5399}, {A: 5400}, {A: 10_000}}}
	c.flag()
	var got []string
	for _, e := range c.Events {
		got = append(got, fmt.Sprintf("%s/%d", e.Flag, e.Row))
	}
	if want := []string{"1/0", "2/1", "3–5/2", "/0", "/0", "6/0", "7/1", "8/0", "9/0"}; !slices.Equal(got, want) {
		t.Errorf("flags %q, want %q", got, want)
	}
}

// Conditions with one number have a line where there is room for it.
func TestLimits(t *testing.T) {
	r := drawn()
	r.Run.Guards = append(r.Run.Guards, judge.Guard{Name: "slow", Probe: "http.checkout", Good: "sample.latency < 2"}, judge.Guard{Name: "odd", Probe: "http.checkout", Good: "sample.latency < 2 || sample.ok"},
		judge.Guard{Name: "never", Probe: "http.checkout", Good: "sample.latency < 1e6"}, judge.Guard{Name: "low", Probe: "prometheus.queue", Good: "sample.value >= 2e1"})
	var got []string
	for _, l := range experimentChart(r, 0, 240).Lanes {
		for _, x := range l.Targets {
			if l.Kind != "share" {
				got = append(got, fmt.Sprintf("%s %s: %s %s at %d", l.Probe, l.Kind, x.Class(), x.Text, x.Y))
			}
		}
	}
	// 2 s is at the top of a scale that it makes longer, from 10 ms up; 100 and 20 are on one from 0 to 150.
	want := []string{"http.checkout latency: limit guard slow < 2 s at 40", "prometheus.queue value: target short < 100 at 347", "prometheus.queue value: limit guard low >= 20 at 837"}
	if !slices.Equal(got, want) {
		t.Errorf("limits %q, want %q", got, want)
	}
}

// What is bad within the allowed share is told from what is bad beyond it.
func TestBadBeyondTheTarget(t *testing.T) {
	c := &chart{From: day, Len: 4000, Step: 1}
	l := &lane{Lo: 0.9, Targets: []target{{level: level{Y: shareY(0.95, 0.9)}, A: 1000, B: 3000}}}
	bins := []bin{{Good: 90, Bad: 10}, {Good: 96, Bad: 4}, {Good: 94, Bad: 6}, {Good: 90, Bad: 10}}
	if got, want := c.icicles(bins, 0.9, l.missed(c)), fmt.Sprintf("M2000 40V%dH3000V40Z", shareY(0.94, 0.9)); got != want {
		t.Errorf("bad beyond the target is %s, want %s", got, want)
	}
	if got := strings.Count(c.icicles(bins, 0.9, nil), "M"); got != 4 {
		t.Errorf("%d bad bins, want 4", got)
	}
}

func TestPartsOfASource(t *testing.T) {
	for line, want := range map[string]string{
		"": "", "fault {}": "fault {}", "# all": "<comment># all", `a = "b" # c`: `a = |<string>"b"| |<comment># c`, `a = "b // \" c" // d`: `a = |<string>"b // \" c"| |<comment>// d`,
		`open = "never`: `open = |<string>"never`, `odd = "\`: `odd = |<string>"\`, `"a""ü"`: `<string>"a"|<string>"ü"`,
	} {
		var got []string
		whole := ""
		for _, p := range partsOf(line) {
			whole += p.Text
			if p.Class != "" {
				p.Text = "<" + p.Class + ">" + p.Text
			}
			got = append(got, p.Text)
		}
		if s := strings.Join(got, "|"); s != want || whole != line {
			t.Errorf("%s is %s, want %s", line, s, want)
		}
	}
}

func TestTimeAxis(t *testing.T) {
	for length, want := range map[int64]string{
		500: "0 s 0.1 s 0.2 s 0.3 s 0.4 s 0.5 s", 8_800: "0 s 1 s 2 s 3 s 4 s 5 s 6 s 7 s 8 s", 60_000: "0 s 10 s 20 s 30 s 40 s 50 s 1:00",
		3_600_000: "0 s 10:00 20:00 30:00 40:00 50:00 1:00:00", 90_061_000: "0 s 4:00:00 8:00:00 12:00:00 16:00:00 20:00:00 24:00:00",
	} {
		var got []string
		for _, x := range ticks(length) {
			got = append(got, x.Text)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%d ms: %s, want %s", length, s, want)
		}
	}
	for seconds, want := range map[int]int{1: 1, 240: 1, 241: 2, 3600: 15, 86400: 600, 400 * 86400: 144000} {
		if got := stepFor(seconds, 240); got != want {
			t.Errorf("%d s in steps of %d, want %d", seconds, got, want)
		}
	}
}
