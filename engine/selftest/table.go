package selftest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// JSON writes a result with all its cases.
func (r *Result) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		*Result
		Tried    int  `json:"tried"`
		Untested int  `json:"untested"`
		Leaked   int  `json:"leaked"`
		OK       bool `json:"ok"`
	}{r, r.Tried(), r.Untested(), r.Leaked(), r.OK()})
}

// row is all cases of one accident, on whatever fault.
type row struct {
	Case
	cases []CaseResult
}

// rows are in the order of a reader: who dies, then when.
func (r *Result) rows() []row {
	var out []row
	for _, c := range r.Cases {
		i := slices.IndexFunc(out, func(o row) bool { return o.Who == c.Who && o.How == c.How && o.Event == c.Event && o.Story == c.Story })
		if i < 0 {
			i = len(out)
			out = append(out, row{Case: c.Case})
		}
		out[i].cases = append(out[i].cases, c)
	}
	slices.SortStableFunc(out, func(a, b row) int {
		return cmp.Or(
			cmp.Compare(min(len(a.Story), 1), min(len(b.Story), 1)),
			cmp.Compare(strings.Count(a.Who.String(), "+"), strings.Count(b.Who.String(), "+")),
			cmp.Compare(a.Who, b.Who), cmp.Compare(a.How, b.How),
			cmp.Compare(slices.Index(events, a.Event), slices.Index(events, b.Event)))
	})
	return out
}

// Text writes the table, what went wrong, and the verdict as the last line.
func (r *Result) Text(out io.Writer) error {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "who died\thow\tat event\tfault\tbroken after (s)\tpromised (s)\tafter recover (s)\twho put back")
	for _, x := range r.rows() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.Who, cmp.Or(string(x.How), "–"), x.when(),
			x.faults(), x.times(func(c CaseResult) (time.Duration, bool) { return c.Broken, !c.needsRecover() }), x.promised(),
			x.times(func(c CaseResult) (time.Duration, bool) { return c.AfterRecover, c.needsRecover() }), x.by())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&b, "\n\"broken after\" is how long the target itself was seen to be broken after the accident%s.\n", several(len(r.rows()) < len(r.Cases)))
	fmt.Fprintf(&b, "A revert must begin within the promised time, or as planned; for itself, and for a busy machine, %s are allowed on top.\n", r.Slack)
	if slices.ContainsFunc(r.Cases, CaseResult.needsRecover) {
		b.WriteString("Where engine, plugin and guardian all die, the fault is for `faultline recover`, from whose start is counted.\n")
	}
	if slices.ContainsFunc(r.Cases, func(c CaseResult) bool { return c.asleep() }) {
		b.WriteString("Where engine and plugin are both stopped, as in a machine that is suspended, counting begins when they go on.\n")
	}
	for _, l := range r.LeftOut {
		fmt.Fprintf(&b, "Left out: %s.\n", l)
	}
	r.problems(&b)
	fmt.Fprintf(&b, "\n%d cases in %s, seed %d.\n", len(r.Cases), r.Took.Round(100*time.Millisecond), r.Seed)
	fmt.Fprintf(&b, "leaked %d of %d\n", r.Leaked(), r.Tried())
	_, err := io.WriteString(out, b.String())
	return err
}

func several(s bool) string {
	if s {
		return ": median and worst of several cases"
	}
	return ""
}

// problems lists what is late, and what is wrong.
func (r *Result) problems(w io.Writer) {
	for _, c := range r.Cases {
		if c.Late {
			fmt.Fprintf(w, "Late: %s: clean after %s.\n", c.Name, seconds(max(c.Broken, c.AfterRecover))+" s")
		}
	}
	for _, c := range r.Cases {
		switch {
		case c.Leak != "":
			fmt.Fprintf(w, "LEAKED: %s: %s\n", c.Name, c.why())
		case c.Untried != "":
			fmt.Fprintf(w, "NOT TRIED: %s: %s\n", c.Name, c.why())
		case c.bad():
			fmt.Fprintf(w, "WRONG: %s: %s\n", c.Name, c.why())
		case c.Untested != "":
			fmt.Fprintf(w, "NOT TESTED: %s: this machine was too slow: %s\n", c.Name, c.why())
		}
	}
}

// needsRecover says that nobody but recover could put the fault back.
func (c CaseResult) needsRecover() bool { return c.nobodyLeft() && c.Promised == nil }

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }

// when is the event, and what happens then besides.
func (x row) when() string {
	if x.Story != "" {
		return string(x.Event) + ": " + x.Story.String()
	}
	return cmp.Or(string(x.Event), "–")
}

// times is one time, or the median and the worst of several.
func (x row) times(of func(CaseResult) (time.Duration, bool)) string {
	var all []time.Duration
	for _, c := range x.cases {
		if d, ok := of(c); ok && c.tried() {
			all = append(all, d)
		}
	}
	slices.Sort(all)
	switch len(all) {
	case 0:
		return "–"
	case 1:
		return seconds(all[0])
	}
	return seconds(all[len(all)/2]) + " / " + seconds(all[len(all)-1])
}

func (x row) promised() string {
	var all []string
	for _, c := range x.cases {
		text := "as planned"
		if c.Promised != nil {
			text = "≤ " + fmt.Sprint(c.Promised.Seconds())
		} else if c.needsRecover() {
			text = "by recover"
		}
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return strings.Join(all, ", ")
}

func (x row) faults() string {
	if len(x.cases) == 1 {
		return x.cases[0].Fault
	}
	return fmt.Sprintf("%d cases", len(x.cases))
}

// by counts who put back, where that was not always the same.
func (x row) by() string {
	counts := map[string]int{}
	var order []string
	for _, c := range x.cases {
		by := cmp.Or(strings.Join(c.By, "+"), "–")
		if counts[by]++; counts[by] == 1 {
			order = append(order, by)
		}
	}
	if len(order) == 1 {
		return order[0]
	}
	slices.SortStableFunc(order, func(a, b string) int { return counts[b] - counts[a] })
	for i, by := range order {
		order[i] = fmt.Sprintf("%s %d", by, counts[by])
	}
	return strings.Join(order, ", ")
}
