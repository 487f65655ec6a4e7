package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/faultline-go/faultline/engine/judge"
	"github.com/faultline-go/faultline/internal/lazyregexp"
)

// limit is the number that a condition of an objective or a guard compares with.
type limit struct {
	name  string
	at    float64
	guard bool
}

// condition is one that has a line on a chart: all others are only told.
var condition = lazyregexp.New(`^\s*sample\.(latency|value)\s*(<=?|>=?)\s*([0-9][0-9.]*(?:[eE][+-]?[0-9]+)?)\s*$`)

// limitsOf are those of a probe's latency or value.
func limitsOf(r *judge.Result, all []*judge.Experiment, probe, field string) []limit {
	var out []limit
	add := func(of, good, name string, guard bool) {
		m := condition().FindStringSubmatch(good)
		if of != probe || m == nil || m[1] != field {
			return
		}
		at, err := strconv.ParseFloat(m[3], 64)
		if l := (limit{name + " " + m[2], at, guard}); err == nil && finite(at) && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	for _, e := range all {
		for _, o := range e.Objectives {
			_, short, _ := strings.Cut(o.Objective, ".")
			add(o.Probe, o.Good, first(short, o.Objective), false)
		}
	}
	for _, g := range r.Run.Guards {
		add(g.Probe, g.Good, "guard "+g.Name, true)
	}
	return out
}

// drawLimits draws those that lie within the lane's scale.
func (c *chart) drawLimits(l *lane, limits []limit, height func(float64) int, text func(float64) string) {
	for _, x := range limits {
		if x.at >= l.Lo && x.at <= l.Hi {
			l.Targets = append(l.Targets, target{level{height(x.at), x.name + " " + text(x.at)}, 0, c.Len, x.guard})
		}
	}
}

func limitText(l lane) string {
	text := ""
	for _, t := range l.Targets {
		text += " " + capital(t.Text) + "."
	}
	return text
}

func (c *chart) latencyLane(p *judge.ProbeSummary, index int, bins []bin, limits []limit) {
	least, most, slowest, fastest := math.Inf(1), 0.0, 0, math.Inf(1)
	for i, b := range bins {
		if b.Low > 0 {
			least = min(least, b.Low)
		}
		if b.Low >= 0 {
			fastest = min(fastest, b.Low)
		}
		if b.Max > most {
			most, slowest = b.Max, i
		}
	}
	if most <= 0 || math.IsInf(least, 1) {
		return
	}
	high := most
	for _, x := range limits {
		if x.at > least && x.at < 100*most {
			high = max(high, x.at)
		}
	}
	l := lane{Kind: "latency", Probe: p.Probe, Index: index, Objective: -1, Title: p.Probe, What: "latency, median and slowest", Lo: nice(least, false), Hi: nice(high, true)}
	if l.Hi <= l.Lo {
		l.Hi = l.Lo * 10
	}
	// Powers of ten between the edges, where their names have room.
	for v := math.Pow(10, math.Floor(math.Log10(l.Hi))); v > l.Lo; v /= 10 {
		if y := latencyY(v, l.Lo, l.Hi); y > laneTop+200 && y < laneBottom-140 {
			l.Grid = append(l.Grid, level{y, lapse(v)})
		}
	}
	l.Grid = append([]level{{laneTop, lapse(l.Hi)}}, append(l.Grid, level{laneBottom, lapse(l.Lo)})...)
	c.drawLimits(&l, limits, func(v float64) int { return latencyY(v, l.Lo, l.Hi) }, lapse)
	l.Total = "slowest " + lapse(most)
	l.Summary = fmt.Sprintf("%s, latency of what was answered well, by %s, on a logarithmic scale: median from %s up, slowest %s at %s.",
		p.Probe, length(float64(c.Step)), lapse(fastest), lapse(most), stamp(max(c.edge(slowest), 0))) + limitText(l)
	l.Paths = []path{
		{"slowest", c.stairs(bins, func(b bin) (int, bool) { return latencyY(b.Max, l.Lo, l.Hi), b.Max >= 0 })},
		{"median", c.band(bins, func(b bin) (int, int, bool) {
			return latencyY(b.High, l.Lo, l.Hi), latencyY(b.Low, l.Lo, l.Hi), b.Low >= 0
		})},
	}
	c.Lanes = append(c.Lanes, l)
}

// lapse is a latency, with more digits than a length has where it is short.
func lapse(s float64) string {
	if s < 0.00995 {
		return trim(s*1000, 2) + " ms"
	}
	return length(s)
}

// nice is the next of 1, 2, 5, 10, 20 … at or beyond a number.
func nice(v float64, up bool) float64 {
	e := math.Floor(math.Log10(v))
	unit := math.Pow(10, e)
	all := []float64{1, 2, 5, 10}
	if up {
		for _, m := range all {
			if m*unit >= v*(1-1e-9) {
				return m * unit
			}
		}
	}
	for _, m := range slices.Backward(all) {
		if m*unit <= v*(1+1e-9) {
			return m * unit
		}
	}
	return unit
}

func latencyY(v, lo, hi float64) int {
	if v <= lo {
		return laneBottom
	}
	t := (math.Log10(v) - math.Log10(lo)) / (math.Log10(hi) - math.Log10(lo))
	return laneBottom - int(math.Round((laneBottom-laneTop)*min(t, 1)))
}

func (c *chart) valueLane(p *judge.ProbeSummary, index int, bins []bin, limits []limit) {
	if p.Series.Value == nil {
		return
	}
	least, most := math.Inf(1), math.Inf(-1)
	for _, b := range bins {
		if finite(b.Least) && finite(b.Most) {
			least, most = min(least, b.Least), max(most, b.Most)
		}
	}
	if least > most || !finite(most-least) {
		return
	}
	l := lane{Kind: "value", Probe: p.Probe, Index: index, Objective: -1, Title: p.Probe, What: "value", Lo: min(least, 0), Hi: max(most, 0)}
	for _, x := range limits {
		if x.at > 0 && x.at <= 2*most {
			l.Hi = max(l.Hi, x.at)
		}
	}
	if l.Lo == l.Hi {
		l.Hi = 1
	}
	for _, v := range []float64{l.Hi, l.Lo} {
		l.Grid = append(l.Grid, level{valueY(v, l.Lo, l.Hi), figure(v)})
	}
	c.drawLimits(&l, limits, func(v float64) int { return valueY(v, l.Lo, l.Hi) }, figure)
	l.Total = fmt.Sprintf("from %s to %s", figure(least), figure(most))
	l.Summary = fmt.Sprintf("%s, the value that the probe read: %s.", p.Probe, l.Total) + limitText(l)
	l.Paths = []path{{"median", c.band(bins, func(b bin) (int, int, bool) {
		return valueY(b.Most, l.Lo, l.Hi), valueY(b.Least, l.Lo, l.Hi), finite(b.Least) && finite(b.Most)
	})}}
	c.Lanes = append(c.Lanes, l)
}

func valueY(v, lo, hi float64) int {
	return laneBottom - int(math.Round((laneBottom-laneTop)*min(max((v-lo)/(hi-lo), 0), 1)))
}

// figure writes a value with four digits.
func figure(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
