package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/faultline-go/faultline/engine/judge"
)

// lane is one course over the time axis of a chart. Heights are thousandths of it
// from the top, as in the drawing.
type lane struct {
	Kind      string // share, latency, value
	Probe     string
	Index     int // of the probe
	Objective int // of the probe's series, -1: what was ok
	Title     string
	What      string // what is drawn
	Total     string // what it amounts to
	Summary   string // the picture in words
	Lo, Hi    float64
	Grid      []level
	Targets   []target
	Paths     []path
}

// level is a height with its name.
type level struct {
	Y    int
	Text string
}

// Top is the height in per cent.
func (l level) Top() string { return strconv.FormatFloat(float64(l.Y)/10, 'f', 1, 64) + "%" }

// target is what an objective was to reach in a phase, or the limit of a condition.
type target struct {
	level
	A, B  int64
	Guard bool
}

// Class is that of its line.
func (t target) Class() string {
	if t.Guard {
		return "limit"
	}
	return "target"
}

// path is a drawn line or surface.
type path struct{ Class, D string }

// Drawings leave some room at both edges, and what is bad is never too thin to see.
const (
	laneTop    = 40
	laneBottom = 960
	leastBad   = 60
)

// addLanes adds what one probe saw: how much was good, for each objective that
// counts otherwise once more, and how long it took or which values came.
func (c *chart) addLanes(r *judge.Result, index int, all []*judge.Experiment) {
	p := &r.Probes[index]
	first := int(c.From.Unix() - p.Series.Start.Unix())
	base := binsOf(&p.Series, -1, first, c.seconds(), c.Step)
	own := func(objective string) bool {
		return slices.ContainsFunc(p.Series.Objectives, func(o judge.ObjectiveSeries) bool { return o.Objective == objective })
	}
	c.shareLane(p, index, -1, base, c.targetsOf(all, p.Probe, func(name string) bool { return !own(name) }))
	for i, o := range p.Series.Objectives {
		if targets := c.targetsOf(all, p.Probe, func(name string) bool { return name == o.Objective }); len(targets) > 0 {
			c.shareLane(p, index, i, binsOf(&p.Series, i, first, c.seconds(), c.Step), targets)
		}
	}
	c.valueLane(p, index, base, limitsOf(r, all, p.Probe, "value"))
	c.latencyLane(p, index, base, limitsOf(r, all, p.Probe, "latency"))
}

// aim is a target before the lane's scale is known.
type aim struct {
	target float64
	name   string
	a, b   int64
}

// targetsOf are the targets of a probe's objectives, phase by phase.
func (c *chart) targetsOf(all []*judge.Experiment, probe string, mine func(objective string) bool) []aim {
	var out []aim
	for _, e := range all {
		for _, o := range e.Objectives {
			i := slices.IndexFunc(e.Phases, func(p judge.PhaseSpan) bool { return p.Phase == o.Phase })
			if o.Probe != probe || i < 0 || !mine(o.Objective) {
				continue
			}
			a := aim{o.Target, o.Objective, c.at(e.Phases[i].From), c.at(e.Phases[i].To)}
			// Where a target stays the same, its line goes on.
			k := slices.IndexFunc(out, func(b aim) bool {
				return b.name == a.name && b.target == a.target && b.b >= a.a && b.a <= a.b
			})
			switch {
			case k >= 0:
				out[k].a, out[k].b = min(out[k].a, a.a), max(out[k].b, a.b)
			case a.b > a.a:
				out = append(out, a)
			}
		}
	}
	return out
}

func (c *chart) shareLane(p *judge.ProbeSummary, index, objective int, bins []bin, aims []aim) {
	l := lane{Kind: "share", Probe: p.Probe, Index: index, Objective: objective, Title: p.Probe, What: "answered well", Hi: 1}
	if objective >= 0 {
		l.Title = p.Series.Objectives[objective].Objective
		l.What = "good, of " + p.Probe
	}
	good, bad, missing, lowest, worst := 0, 0, 0, 1.0, 0
	for i, b := range bins {
		good, bad, missing = good+b.Good, bad+b.Bad, missing+b.Missing
		if b.Good+b.Bad > 0 && b.share() < lowest {
			lowest, worst = b.share(), i
		}
	}
	l.Lo = shareFloor(lowest, aims)
	for _, v := range []float64{1, (1 + l.Lo) / 2, l.Lo} {
		l.Grid = append(l.Grid, level{shareY(v, l.Lo), sharePercent(v)})
	}
	for _, a := range aims {
		name := a.name
		if _, short, ok := strings.Cut(name, "."); ok {
			name = short
		}
		name += " ≥ " + sharePercent(a.target)
		y := shareY(a.target, l.Lo)
		// Names that would cover each other stand behind one another instead.
		if k := slices.IndexFunc(l.Targets, func(t target) bool { return t.A == a.a && t.Text != "" && y-t.Y < 250 && t.Y-y < 250 }); k >= 0 {
			l.Targets[k].Text += ", " + name
			name = ""
		}
		l.Targets = append(l.Targets, target{level: level{y, name}, A: a.a, B: a.b})
	}
	l.Total = fmt.Sprintf("%s bad of %s", number(bad), number(good+bad))
	if missing > 0 {
		l.Total += fmt.Sprintf(", %s missing", number(missing))
	}
	l.Summary = fmt.Sprintf("%s, share %s by %s: %s.", l.Title, l.What, length(float64(c.Step)), l.Total)
	if bad > 0 {
		l.Summary += fmt.Sprintf(" Lowest %s at %s.", goodShare(lowest), stamp(max(c.edge(worst), 0)))
	}
	for _, a := range aims {
		l.Summary += fmt.Sprintf(" Target of %s %s from %s.", a.name, sharePercent(a.target), stamp(a.a))
	}
	l.Paths = []path{{"none", c.gaps(bins)}, {"bad", c.icicles(bins, l.Lo, nil)}, {"over", c.icicles(bins, l.Lo, l.missed(c))}, {"good", c.shareLine(bins, l.Lo)}}
	c.Lanes = append(c.Lanes, l)
}

// shareFloor is where the scale of a lane begins: as high as the lowest share and
// twice the allowed share of each target let it.
func shareFloor(lowest float64, aims []aim) float64 {
	want := min(lowest, 0.95)
	if len(aims) > 0 {
		want = lowest
	}
	for _, a := range aims {
		if a.target < 1 {
			want = min(want, 1-2*(1-a.target))
		} else {
			want = min(want, 0.95)
		}
	}
	for _, f := range []float64{0.999, 0.995, 0.99, 0.98, 0.95, 0.9, 0.8, 0.5} {
		if want >= f-1e-9 {
			return f
		}
	}
	return 0
}

func shareY(share, floor float64) int {
	return laneTop + int(math.Round((laneBottom-laneTop)*min(max((1-share)/(1-floor), 0), 1)))
}

// edge is where a bin begins.
func (c *chart) edge(i int) int64 {
	return c.From.Unix()*1000 + int64(i)*int64(c.Step)*1000 - c.From.UnixMilli()
}

// shareLine is a line of steps, broken where nothing was seen.
func (c *chart) shareLine(bins []bin, floor float64) string {
	return c.stairs(bins, func(b bin) (int, bool) { return badY(b, floor), b.Good+b.Bad > 0 })
}

// badY is the height of a share; one bad sample of a million is still to be seen.
func badY(b bin, floor float64) int {
	if b.Bad == 0 {
		return laneTop
	}
	return max(shareY(b.share(), floor), laneTop+leastBad)
}

// missed says which bins, by themselves, go below a target that counts in their middle.
func (l *lane) missed(c *chart) func(i, y int) bool {
	return func(i, y int) bool {
		middle := (c.edge(i) + c.edge(i+1)) / 2
		return slices.ContainsFunc(l.Targets, func(t target) bool { return t.A <= middle && middle < t.B && y > t.Y })
	}
}

// icicles hang from the top, as deep as the share of bad samples.
func (c *chart) icicles(bins []bin, floor float64, only func(i, y int) bool) string {
	var d strings.Builder
	for i, b := range bins {
		if b.Bad > 0 && (only == nil || only(i, badY(b, floor))) {
			fmt.Fprintf(&d, "M%d %dV%dH%dV%dZ", c.edge(i), laneTop, badY(b, floor), c.edge(i+1), laneTop)
		}
	}
	return d.String()
}

// gaps are the bins in which there should have been samples and none was.
func (c *chart) gaps(bins []bin) string {
	var d strings.Builder
	for i, b := range bins {
		if b.Good+b.Bad == 0 && b.Missing > 0 {
			fmt.Fprintf(&d, "M%d 0V1000H%dV0Z", c.edge(i), c.edge(i+1))
		}
	}
	return d.String()
}

// stairs is a line with one step for each bin.
func (c *chart) stairs(bins []bin, height func(bin) (y int, ok bool)) string {
	var d strings.Builder
	on, last := false, 0
	for i, b := range bins {
		y, ok := height(b)
		switch {
		case !ok:
			on = false
			continue
		case !on:
			fmt.Fprintf(&d, "M%d %d", c.edge(i), y)
		case y != last:
			fmt.Fprintf(&d, "V%d", y)
		}
		fmt.Fprintf(&d, "H%d", c.edge(i+1))
		on, last = true, y
	}
	return d.String()
}

// band is the surface between two heights.
func (c *chart) band(bins []bin, heights func(bin) (top, bottom int, ok bool)) string {
	var d strings.Builder
	for i := 0; i < len(bins); {
		var there, back []string
		for ; i < len(bins); i++ {
			top, bottom, ok := heights(bins[i])
			if !ok {
				break
			}
			there = append(there, fmt.Sprintf("V%dH%d", top, c.edge(i+1)))
			back = append(back, fmt.Sprintf("V%dH%d", bottom, c.edge(i)))
		}
		if n := len(there); n > 0 {
			slices.Reverse(back)
			_, bottom, _ := heights(bins[i-n])
			fmt.Fprintf(&d, "M%d %d%s%sZ", c.edge(i-n), bottom, strings.Join(there, ""), strings.Join(back, ""))
		}
		i++
	}
	return d.String()
}

// numbers are the lanes as a table, with few enough rows to be read out.
func (c *chart) numbers(r *judge.Result) table {
	const most = 24
	step := stepFor(c.seconds(), most)
	t := table{Caption: fmt.Sprintf("%s, in steps of %s", c.Title, length(float64(step))),
		Head: []string{"From", "Phase", "Good", "Bad", "Missing", "Share good", "Median", "Slowest"}, Right: []int{2, 3, 4, 5, 6, 7}}
	seen := make(map[[2]int]bool)
	for _, l := range c.Lanes {
		key := [2]int{l.Index, l.Objective}
		if l.Kind != "share" || seen[key] {
			continue
		}
		seen[key] = true
		s := &r.Probes[l.Index].Series
		g := group{Name: l.Title + ", " + l.What}
		for i, b := range binsOf(s, l.Objective, int(c.From.Unix()-s.Start.Unix()), c.seconds(), step) {
			at := max(int64(i*step)*1000+c.From.Unix()*1000-c.From.UnixMilli(), 0)
			share, median, slowest := "–", "–", "–"
			if b.Good+b.Bad > 0 {
				share = goodShare(b.share())
			}
			if b.Low >= 0 {
				median = lapse(b.Low)
				if high := lapse(b.High); high != median {
					median += " to " + high
				}
			}
			if b.Max >= 0 {
				slowest = lapse(b.Max)
			}
			g.Rows = append(g.Rows, texts(stamp(at), c.phaseAt(at), number(b.Good), number(b.Bad), number(b.Missing), share, median, slowest))
		}
		t.Groups = append(t.Groups, g)
	}
	return t
}

func (c *chart) phaseAt(at int64) string {
	for _, p := range c.Phases {
		if at >= p.A && at < p.B {
			return p.Name
		}
	}
	return "–"
}
