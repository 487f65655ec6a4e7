package scenario

import (
	"path/filepath"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// loadChance reads the block that lets an experiment happen now and then; nil without.
func (l *loader) loadChance(a *args) *Chance {
	b := a.single("chance")
	if b == nil {
		return nil
	}
	c := l.args(b, "a chance block", a.ctx)
	c.knows("experiment/chance")
	out := &Chance{
		MeanDays: DefaultMeanDays,
		MinDays:  c.whole("min_days", 1, 1),
		Drawn:    c.enum("at", "drawn", "drawn", "any") == "drawn",
		Group:    c.str("group", ""),
		Ledger:   c.str("ledger", ""),
		Pos:      l.pos(b.TypeRange),
	}
	if mean, ok := c.number("mean_days"); ok {
		out.MeanDays = mean
		if mean < 1 {
			c.error(c.rangeOf("mean_days"), "Number out of range", "mean_days is at least 1: that happens on every work day.")
		}
	}
	out.Window = l.windowOf(c)
	out.Window.Pos = out.Pos
	if !c.has("days") {
		out.Window.Days = []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	}
	if v, ok := c.value("ledger", cty.String); ok && !isAbs(v.AsString()) {
		c.error(c.rangeOf("ledger"), "Path not absolute", "%q is a relative path, and runners that share a ledger may start anywhere: write an absolute one.", v.AsString())
	}
	a.bad = a.bad || c.bad
	return out
}

func isAbs(path string) bool { return path == "" || filepath.IsAbs(path) }
