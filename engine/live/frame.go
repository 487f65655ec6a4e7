package live

import (
	"fmt"
	"math"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/plan"
)

// palette is how parts of the picture look. Without colour every part still differs by
// its characters.
type palette struct {
	title, quiet, fault, good, bad, cursor lipgloss.Style
}

func newPalette(color bool) palette {
	if !color {
		plain := lipgloss.NewStyle()
		return palette{plain, plain, plain, plain, plain, plain}
	}
	fg := func(c string) lipgloss.Style { return lipgloss.NewStyle().Foreground(lipgloss.Color(c)) }
	return palette{
		title: lipgloss.NewStyle().Bold(true), quiet: lipgloss.NewStyle().Faint(true),
		fault: fg("5"), good: fg("2"), bad: fg("1"), cursor: lipgloss.NewStyle().Bold(true),
	}
}

const (
	labels = 24 // columns for names at the left of bars
	spark  = 20 // columns of a sparkline
)

// frame is the picture: at most rows lines of at most width columns.
func (s *state) frame(now time.Time, width, rows int, p palette) []string {
	at := s.folder.Progress()
	if at.Phase == "" {
		return nil
	}
	title := fmt.Sprintf("%s: %s %s", at.Experiment, at.Phase, tenths(now.Sub(at.Since)))
	if at.Planned > 0 {
		title += " of " + at.Planned.String()
	}
	if at.Of > 1 {
		title += fmt.Sprintf(", experiment %d of %d", at.Done+1, at.Of)
	}
	lines := []string{p.title.Render(cut(title, width))}
	lines = append(lines, s.timeLine(now, width, p)...)
	lines = append(lines, s.faultLines(now, width, p)...)
	lines = append(lines, s.objectiveLines(now, width, p)...)
	lines = append(lines, s.guardLines(now, width, p)...)
	if more := len(lines) - rows; more > 0 {
		lines = append(lines[:max(rows-1, 0)], p.quiet.Render(fmt.Sprintf("  … and %d lines more", more+1)))
	}
	return lines
}

// stretch is a piece of the time line.
type stretch struct {
	phase    journal.Phase
	from, to time.Time
}

// stretches are the phases of the experiment: as they were, and as they are planned.
func (s *state) stretches(now time.Time) []stretch {
	e := s.experiment()
	if e == nil {
		return nil
	}
	planned := map[journal.Phase]time.Duration{journal.Baseline: e.Spec.Baseline, journal.During: e.Spec.Planned, journal.After: e.Spec.Observe}
	order := []journal.Phase{journal.Baseline, journal.During, journal.After}
	if len(e.Spec.Faults) == 0 { // a check has one phase
		order, planned[journal.During] = []journal.Phase{journal.During}, e.Spec.Observe
	}
	var all []stretch
	at := s.began
	for i, ph := range order {
		from, begun := s.phases[ph]
		if !begun {
			from = at
		}
		to := from.Add(planned[ph])
		if begun && to.Before(now) {
			to = now // it takes longer than planned
		}
		if i+1 < len(order) {
			if next, ok := s.phases[order[i+1]]; ok {
				to = next
			}
		}
		all = append(all, stretch{ph, from, to})
		at = to
	}
	return all
}

func (s *state) experiment() *plan.Experiment {
	name := s.folder.Progress().Experiment
	for i := range s.plan.Experiments {
		if s.plan.Experiments[i].Spec.Name == name {
			return &s.plan.Experiments[i]
		}
	}
	return nil
}

// timeLine draws the phases with a cursor, and a bar for each fault below.
func (s *state) timeLine(now time.Time, width int, p palette) []string {
	all := s.stretches(now)
	columns := min(width-labels-1, 100)
	if len(all) == 0 || columns < 20 {
		return nil
	}
	from, to := all[0].from, all[len(all)-1].to
	if !to.After(from) {
		return nil
	}
	place := func(t time.Time) int {
		x := int(float64(columns) * float64(t.Sub(from)) / float64(to.Sub(from)))
		return min(max(x, 0), columns-1)
	}
	ruler, names := []rune(strings.Repeat("─", columns)), []rune(strings.Repeat(" ", columns))
	for i, st := range all {
		x := place(st.from)
		if i > 0 {
			ruler[x] = '┼'
		}
		room := columns - x
		if i+1 < len(all) {
			room = place(all[i+1].from) - x
		}
		if len(st.phase) < room || i+1 == len(all) && len(st.phase) <= room {
			copy(names[x:], []rune(string(st.phase)))
		}
	}
	cursor := place(now)
	line := p.quiet.Render(string(ruler[:cursor])) + p.cursor.Render("●") + p.quiet.Render(string(ruler[cursor+1:]))
	lines := []string{label("", p.quiet) + p.quiet.Render(strings.TrimRight(string(names), " ")), label("  time", p.quiet) + line}
	for _, f := range s.faults {
		end := f.to
		if end.IsZero() {
			end = f.from.Add(f.planned)
		}
		a, b := place(f.from), place(end)
		bar := []rune(strings.Repeat(" ", columns))
		for x := a; x <= b; x++ {
			bar[x] = '░'
			if x <= cursor {
				bar[x] = '█'
			}
		}
		lines = append(lines, label("  "+f.name, p.fault)+p.fault.Render(strings.TrimRight(string(bar), " ")))
	}
	return lines
}

// faultLines say what is on, and how long its lease is still held if nobody renews it.
func (s *state) faultLines(now time.Time, width int, p palette) []string {
	var lines []string
	for _, f := range s.faults {
		if !f.to.IsZero() {
			continue
		}
		text := fmt.Sprintf("  on: %s on %s, %s of %s", f.name, strings.Join(f.targets, ", "), tenths(now.Sub(f.from)), f.planned)
		if f.lease > 0 {
			held := f.from
			if r := s.renewed[f.plugin]; r.After(held) {
				held = r
			}
			text += fmt.Sprintf("; lease %s, held for %s more", f.lease, tenths(max(held.Add(f.lease).Sub(now), 0)))
		}
		lines = append(lines, p.fault.Render(cut(text, width)))
	}
	return lines
}

// objectiveLines are the counts of the phase and the course of the last seconds.
func (s *state) objectiveLines(now time.Time, width int, p palette) []string {
	var lines []string
	probes, shown := map[string]string{}, map[string]bool{}
	if e := s.experiment(); e != nil {
		for _, o := range e.Spec.Objectives {
			probes[o.Name] = o.Probe
		}
	}
	for _, o := range s.folder.Progress().Objectives {
		c := s.counts[o.Objective]
		if c == nil {
			continue
		}
		if c.N == 0 {
			lines = append(lines, cut(label("  "+o.Objective, lipgloss.NewStyle())+" no samples yet", width))
			continue
		}
		share := float64(c.N-c.Bad) / float64(c.N)
		style := p.good
		if share < o.Target {
			style = p.bad
		}
		text := fmt.Sprintf("%7.3f %% good of %d, wants %g %%", 100*share, c.N, 100*o.Target)
		line := label("  "+o.Objective, lipgloss.NewStyle()) + style.Render(cut(text, width-labels))
		lines = append(lines, line)
		if room := width - labels; room >= spark {
			good := goodLine(courseOf(s.courses, o.Objective).upTo(now, spark))
			row := label("", p.quiet) + style.Render(good)
			probe := probes[o.Objective]
			if shown[probe] { // by another objective on the same probe
				lines = append(lines, row)
				continue
			}
			shown[probe] = true
			latency, latest := latencyLine(courseOf(s.latency, probe).upTo(now, spark))
			if text := fmt.Sprintf("  %s median %s", latency, milliseconds(latest)); !math.IsNaN(latest) && room >= spark+len([]rune(text)) {
				row += p.quiet.Render(text)
			}
			lines = append(lines, row)
		}
	}
	return lines
}

// guardLines say how far the guards are from stopping the run.
func (s *state) guardLines(now time.Time, width int, p palette) []string {
	var lines []string
	for _, g := range s.plan.Guards {
		st, seen := s.guards[g.Name]
		text, style := "", p.good
		switch {
		case !seen:
			text = "no data yet"
			style = p.quiet
		case st.Failing && g.For > 0:
			text = fmt.Sprintf("fails for %s, at %s the run stops: %s", tenths(st.Bad), g.For, g.Good)
			style = p.bad
		case st.Failing:
			text = "fails, the run stops: " + g.Good
			style = p.bad
		default:
			text = "holds: " + g.Good
		}
		if age := now.Sub(st.LastData); seen && g.NoDataAfter > 0 && age > g.NoDataAfter/2 {
			text = fmt.Sprintf("no data for %s, at %s the run stops; it %s", tenths(age), g.NoDataAfter, text)
			style = p.bad
		}
		lines = append(lines, label("  guard "+g.Name, lipgloss.NewStyle())+style.Render(cut(text, width-labels)))
	}
	return lines
}

// label is a name in the column of names.
func label(s string, style lipgloss.Style) string {
	r := []rune(printable(s))
	if len(r) >= labels {
		r = append(r[:labels-2], '…')
	}
	return style.Render(string(r)) + strings.Repeat(" ", labels-len(r))
}

// cut makes a text fit and harmless.
func cut(s string, width int) string {
	r := []rune(printable(s))
	if width > 0 && len(r) > width {
		return string(r[:max(width-1, 0)]) + "…"
	}
	return string(r)
}

func tenths(d time.Duration) time.Duration { return d.Truncate(100 * time.Millisecond) }

func milliseconds(s float64) string {
	if s < 0.0995 {
		return fmt.Sprintf("%.2g ms", 1000*s)
	}
	return fmt.Sprintf("%.0f ms", 1000*s)
}
