package scenario

import (
	"strconv"
	"time"
	_ "time/tzdata" // windows name time zones, and small images have no database of them

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/faultline-go/faultline/internal/lazyregexp"
)

func (l *loader) loadLimits() {
	all := l.blocks["limits"]
	if len(all) == 0 {
		return
	}
	b := all[0]
	for _, other := range all[1:] {
		l.error(other.DefRange(), "Second limits block", "There are limits already at %s, and they hold for the whole run. Keep one of the two.", place(b.DefRange()))
	}
	a := l.args(b, "a limits block", l.root)
	a.knows("limits")
	m := &l.scenario.Limits
	m.Set = true
	m.MaxTargets = a.whole("max_targets", 0, 1)
	m.MaxPercent = a.percent("max_percent")
	m.KeepPerZone = a.whole("keep_per_zone", 0, 0)
	for _, inner := range b.Body.Blocks {
		if inner.Type == "window" && l.labelled(inner, nil) {
			m.Windows = append(m.Windows, l.loadWindow(inner))
		}
	}
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// clockTimes matches "09:00-16:00".
var clockTimes = lazyregexp.New(`^([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})$`)

func (l *loader) loadWindow(b *hclsyntax.Block) Window {
	a := l.args(b, "a window block", l.root)
	a.knows("limits/window")
	w := l.windowOf(a)
	w.Pos = place(b.TypeRange)
	return w
}

// windowOf reads days, hours and zone.
func (l *loader) windowOf(a *args) Window {
	w := Window{To: 24 * time.Hour, Zone: time.UTC}
	if v, ok := a.value("days", cty.List(cty.String)); ok {
		seen := map[time.Weekday]bool{}
		places, _ := a.body.Attributes["days"].Expr.(*hclsyntax.TupleConsExpr)
		for i, e := range v.AsValueSlice() {
			at := a.rangeOf("days")
			if places != nil && i < len(places.Exprs) {
				at = places.Exprs[i].Range()
			}
			day, ok := l.weekday(a, e, at)
			if ok && !seen[day] {
				seen[day] = true
				w.Days = append(w.Days, day)
			}
		}
		if len(w.Days) == 0 && !a.bad {
			a.error(a.rangeOf("days"), "No day", "On no day at all nothing can run. Leave days out for every day.")
		}
	}
	if s := a.str("hours", ""); s != "" {
		from, to, ok := hoursOf(s)
		switch {
		case !ok:
			a.error(a.rangeOf("hours"), "Invalid hours", `%q is not a time of day from one to another, such as "09:00-16:00".`, s)
		case from >= to:
			a.error(a.rangeOf("hours"), "Invalid hours", "%q ends before it begins. A window lies within one day, up to 24:00.", s)
		default:
			w.From, w.To = from, to
		}
	}
	if name := a.str("zone", "UTC"); name != "" {
		zone, err := time.LoadLocation(name)
		if err != nil {
			a.error(a.rangeOf("zone"), "Unknown time zone", `There is no time zone %q. Zones are named as in "Europe/Berlin" or "UTC".`, name)
		} else {
			w.Zone = zone
		}
	}
	return w
}

func (l *loader) weekday(a *args, v cty.Value, at hcl.Range) (time.Weekday, bool) {
	if v.IsNull() {
		a.error(at, "Null value", "A day is null. Leave it out.")
		return 0, false
	}
	name := v.AsString()
	for i, d := range weekdays {
		if d == name {
			return time.Weekday(i), true
		}
	}
	hint := ""
	if len(name) > 3 {
		hint = l.didYouMean(name[:3], weekdays)
	} else {
		hint = l.didYouMean(name, weekdays)
	}
	a.error(at, "Unknown day", "%q is not a day; there is %s.%s", name, allOf(append(weekdays[1:len(weekdays):len(weekdays)], weekdays[0])), hint)
	return 0, false
}

// hoursOf reads "09:00-16:00" as times since midnight.
func hoursOf(s string) (from, to time.Duration, ok bool) {
	m := clockTimes().FindStringSubmatch(s)
	if m == nil {
		return 0, 0, false
	}
	clock := func(h, min string) time.Duration {
		hours, _ := strconv.Atoi(h) // the pattern has only digits
		minutes, _ := strconv.Atoi(min)
		if minutes > 59 || hours > 24 || hours == 24 && minutes > 0 {
			ok = false
		}
		return time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	}
	ok = true
	from, to = clock(m[1], m[2]), clock(m[3], m[4])
	return from, to, ok
}
