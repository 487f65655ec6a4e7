package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/faultline-go/faultline/engine/judge"
)

// chart is a time line before it is drawn: what happened, above lanes of what the
// probes saw, on one time axis. Moments are milliseconds from its left edge.
type chart struct {
	ID     string
	Title  string
	From   time.Time
	Len    int64
	Step   int // seconds that a bin of the lanes has
	Probes []string
	Phases []segment
	Faults []bar
	Shades []segment // when any fault was on
	Events []moment
	Lanes  []lane
	Ticks  []tick
	Rows   table // the lanes in numbers, for those who cannot see them
}

// segment is a stretch of the time axis.
type segment struct {
	Name string
	A, B int64
	Note string
}

// bar is a fault on the time axis, in a row of its own.
type bar struct {
	segment
	Open bool // its end is not in the journal
	Flip bool // it begins so late that its name must end with it
}

// moment is a thing that happened, numbered in the order of time.
type moment struct {
	N    int
	A    int64
	Flag string // "3", "3–5" where one flag is for all of them, or "" for those
	Row  int    // of the flag, so that near ones do not cover each other
	Kind string
	When string
	Text string
}

// tick is a mark on the time axis.
type tick struct {
	A    int64
	Text string
}

// Left says where a moment is, in per cent of the axis.
func (c *chart) Left(a int64) string { return percentOf(a, c.Len) }

// Width says how wide a stretch is, in per cent of the axis.
func (c *chart) Width(a, b int64) string { return percentOf(b-a, c.Len) }

func percentOf(a, of int64) string {
	return strconv.FormatFloat(float64(a)/float64(of)*100, 'f', 3, 64) + "%"
}

// Millis is the left edge in Unix milliseconds.
func (c *chart) Millis() int64 { return c.From.UnixMilli() }

// StepText is the length of a bin.
func (c *chart) StepText() string { return length(float64(c.Step)) }

const (
	maxFaultRows = 12
	chartBins    = 240    // of a lane, at most
	allBins      = 24_000 // of all lanes of a report: many charts get coarser ones
	leastBins    = 48
)

// binsFor is how many bins the lanes of a report's charts may have each.
func binsFor(r *judge.Result) int {
	lanes := len(r.Probes) * 2 // of the whole run's chart
	for i := range r.Experiments {
		lanes += len(probesOf(&r.Experiments[i])) * 2
	}
	return min(max(allBins/max(lanes, 1), leastBins), chartBins)
}

// probesOf are the probes that an experiment looked at.
func probesOf(e *judge.Experiment) []string {
	var names []string
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, o := range e.Objectives {
		add(o.Probe)
	}
	for _, l := range e.Latencies {
		add(l.Probe)
	}
	for _, l := range e.Lost {
		add(l.Probe)
	}
	return names
}

// experimentChart is the time line of one experiment, or nil where there was no time.
func experimentChart(r *judge.Result, i, bins int) *chart {
	e := &r.Experiments[i]
	from, to, ok := window(e)
	if !ok {
		return nil
	}
	c := &chart{ID: fmt.Sprintf("chart-%d", i+1), Title: "Time line of " + e.Name, From: from, Len: to.Sub(from).Milliseconds()}
	names := probesOf(e)
	for _, g := range r.Run.Guards {
		if g.Probe != "" && !slices.Contains(names, g.Probe) {
			names = append(names, g.Probe)
		}
	}
	for _, p := range e.Phases {
		s := segment{Name: string(p.Phase), A: c.at(p.From), B: c.at(p.To)}
		if p.Cut {
			s.Note = "cut short"
		}
		c.Phases = append(c.Phases, s)
	}
	c.draw(r, []*judge.Experiment{e}, names, bins)
	return c
}

// runChart is the time line of the whole run.
func runChart(r *judge.Result, bins int) *chart {
	from, to := r.Run.Started, r.Run.Started.Add(time.Duration(r.Run.Duration*float64(time.Second)))
	if r.Run.Ended != nil && r.Run.Ended.After(to) {
		to = *r.Run.Ended
	}
	for _, p := range r.Probes {
		if n := len(p.Series.OK); n > 0 {
			if p.Series.Start.Before(from) {
				from = p.Series.Start
			}
			if end := p.Series.Start.Add(time.Duration(n) * time.Second); end.After(to) {
				to = end
			}
		}
	}
	if !sane(from, to) {
		return nil
	}
	c := &chart{ID: "chart-run", Title: "Time line of the run", From: from, Len: to.Sub(from).Milliseconds()}
	var all []*judge.Experiment
	var names []string
	for i := range r.Experiments {
		e := &r.Experiments[i]
		all = append(all, e)
		if from, to, ok := window(e); ok {
			c.Phases = append(c.Phases, segment{Name: e.Name, A: c.at(from), B: c.at(to), Note: word(e.Verdict)})
		}
	}
	for _, p := range r.Probes {
		names = append(names, p.Probe)
	}
	c.draw(r, all, names, bins)
	return c
}

// window is from when to when an experiment was.
func window(e *judge.Experiment) (from, to time.Time, ok bool) {
	take := func(a, b time.Time) {
		if from.IsZero() || a.Before(from) {
			from = a
		}
		if b.After(to) {
			to = b
		}
	}
	if e.Started != nil {
		take(*e.Started, *e.Started)
	}
	if e.Ended != nil {
		take(*e.Ended, *e.Ended)
	}
	for _, p := range e.Phases {
		take(p.From, p.To)
	}
	return from, to, sane(from, to)
}

// sane says whether a stretch can be drawn: a torn journal may have any times.
func sane(from, to time.Time) bool {
	d := to.Sub(from)
	return !from.IsZero() && d >= time.Millisecond && d < 10*365*24*time.Hour
}

func (c *chart) at(t time.Time) int64 {
	return min(max(t.Sub(c.From).Milliseconds(), 0), c.Len)
}

func (c *chart) inside(t time.Time) bool {
	d := t.Sub(c.From).Milliseconds()
	return d >= 0 && d <= c.Len
}

// draw fills in what the experiments and the run have in the chart's window.
func (c *chart) draw(r *judge.Result, all []*judge.Experiment, names []string, bins int) {
	c.Step = stepFor(c.seconds(), bins)
	c.Ticks = ticks(c.Len)
	for _, e := range all {
		c.addFaults(e)
	}
	c.shade()
	c.addEvents(r, all)
	for _, name := range names {
		i := slices.IndexFunc(r.Probes, func(p judge.ProbeSummary) bool { return p.Probe == name })
		if i < 0 || len(r.Probes[i].Series.OK) == 0 {
			continue
		}
		c.Probes = append(c.Probes, name)
		c.addLanes(r, i, all)
	}
	c.Rows = c.numbers(r)
}

// addFaults puts each fault on the axis, from its first target in to its last out.
func (c *chart) addFaults(e *judge.Experiment) {
	for _, f := range e.Faults {
		if f.Injected == nil {
			continue
		}
		b := bar{segment: segment{Name: f.Name, A: c.at(*f.Injected), B: c.Len}, Open: f.Reverted == nil}
		if f.Reverted != nil {
			b.B = c.at(*f.Reverted)
		} else if _, to, ok := window(e); ok {
			b.B = c.at(to)
		}
		var targets []string
		for _, t := range f.Targets {
			targets = append(targets, t.Name)
		}
		if len(targets) > 3 {
			targets = []string{counted(len(targets), "target")}
		}
		if whom := list(targets); whom != "" {
			b.Name += " at " + whom
		}
		b.Flip = b.A*100 > c.Len*55
		b.Note = fmt.Sprintf("from %s to %s", stamp(b.A), stamp(b.B))
		if b.Open {
			b.Note = fmt.Sprintf("from %s on, no revert seen", stamp(b.A))
		}
		c.Faults = append(c.Faults, b)
	}
}

// shade unites the faults' stretches, so that lanes are shaded once.
func (c *chart) shade() {
	all := make([]segment, 0, len(c.Faults))
	for _, f := range c.Faults {
		all = append(all, f.segment)
	}
	slices.SortFunc(all, func(a, b segment) int { return cmp.Compare(a.A, b.A) })
	for _, s := range all {
		if n := len(c.Shades); n > 0 && s.A <= c.Shades[n-1].B {
			c.Shades[n-1].B = max(c.Shades[n-1].B, s.B)
			continue
		}
		c.Shades = append(c.Shades, segment{A: s.A, B: s.B})
	}
	if len(c.Faults) > maxFaultRows {
		more := len(c.Faults) - maxFaultRows + 1
		c.Faults = append(c.Faults[:maxFaultRows-1:maxFaultRows-1], bar{segment: segment{
			Name: fmt.Sprintf("and %s more, see the table", counted(more, "fault")), A: c.Shades[0].A, B: c.Shades[len(c.Shades)-1].B}})
	}
}

// addEvents gathers the moments of the window.
func (c *chart) addEvents(r *judge.Result, all []*judge.Experiment) {
	add := func(at time.Time, kind, text string) {
		if c.inside(at) {
			c.Events = append(c.Events, moment{A: c.at(at), Kind: kind, When: stamp(c.at(at)), Text: text})
		}
	}
	for _, e := range all {
		if b := e.Times.Broke; b.Seen {
			add(*b.To, "broke", "steady state first broken: "+b.Where)
		}
		if s := e.Times.Steady; s.Seen {
			add(*s.To, "steady", "steady again, to stay")
		}
		if s := e.EarlyStop; s != nil {
			add(s.At, "stop", fmt.Sprintf("fault ended early: %s", s.Rule))
		}
		for _, a := range e.Actions {
			add(a.At, "action", fmt.Sprintf("action %s: %s", a.Name, actionText(a)))
		}
		for _, p := range e.Prompts {
			add(p.At, "prompt", fmt.Sprintf("prompt %s: %s", p.Name, promptText(p)))
		}
	}
	for _, g := range r.Guards {
		add(g.At, "guard", fmt.Sprintf("guard %s tripped: %s", g.Guard, g.Reason))
	}
	if a := r.Abort; a != nil {
		add(a.At, "abort", fmt.Sprintf("stopped by %s: %s", a.Cause, a.Reason))
	}
	for _, m := range r.Marks {
		add(m.At, "mark", markText(m))
	}
	for _, t := range r.Takeovers {
		add(t.At, "takeover", fmt.Sprintf("taken over by %s: %s", t.By, t.Why))
	}
	slices.SortStableFunc(c.Events, func(a, b moment) int { return cmp.Compare(a.A, b.A) })
	c.flag()
}

// flag numbers the moments and gives each a flag in the first row where there is room.
// Where there is none, the flag before stands for them, too.
func (c *chart) flag() {
	var last [3]int64 // where the next flag may be, by row
	var open int      // the flag that was set last
	for i := range c.Events {
		e := &c.Events[i]
		e.N = i + 1
		row := slices.IndexFunc(last[:], func(free int64) bool { return e.A >= free })
		if row < 0 {
			c.Events[open].Flag = fmt.Sprintf("%d–%d", c.Events[open].N, e.N)
			continue
		}
		e.Row, e.Flag, open = row, strconv.Itoa(e.N), i
		last[row] = e.A + max(c.Len*4/100, 1)
	}
}

// Roomy says whether there are so few lanes that each can be high.
func (c *chart) Roomy() bool { return len(c.Lanes) <= 4 }

// EventRows is how many rows the flags take.
func (c *chart) EventRows() int {
	rows := 0
	for _, e := range c.Events {
		rows = max(rows, e.Row+1)
	}
	return rows
}

// seconds is how many whole seconds of the clock the chart touches.
func (c *chart) seconds() int {
	end := c.From.Add(time.Duration(c.Len) * time.Millisecond)
	return int((end.UnixMilli()+999)/1000 - c.From.Unix())
}

// steps are lengths of bins that people can count in, in seconds.
var steps = []int{1, 2, 3, 5, 6, 10, 12, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400}

// stepFor is the shortest step with which that many bins are enough.
func stepFor(seconds, bins int) int {
	for _, s := range steps {
		if (seconds+s-1)/s <= bins {
			return s
		}
	}
	return (seconds + bins - 1) / bins
}

// ticks are at most nine marks on a time axis.
func ticks(length int64) []tick {
	const most = 8
	step := int64(1)
	for _, s := range []int64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000,
		600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 21_600_000, 43_200_000, 86_400_000} {
		step = s
		if length/step <= most {
			break
		}
	}
	if length/step > most {
		step = (length + most - 1) / most
	}
	var out []tick
	for a := int64(0); a <= length; a += step {
		out = append(out, tick{A: a, Text: stamp(a)})
	}
	return out
}

// stamp writes a moment of a time line: 12 s, 3:05, 1:02:03. Parts of a second are
// there where they are needed.
func stamp(ms int64) string {
	s := float64(ms) / 1000
	if ms < 60_000 {
		return trim(s, 2) + " s"
	}
	whole := ms / 1000
	rest := ""
	if f := ms % 1000; f >= 100 {
		rest = "." + strconv.FormatInt(f/100, 10)
	}
	if whole < 3600 {
		return fmt.Sprintf("%d:%02d%s", whole/60, whole%60, rest)
	}
	return fmt.Sprintf("%d:%02d:%02d%s", whole/3600, whole/60%60, whole%60, rest)
}

// finite says whether a number can be drawn.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
