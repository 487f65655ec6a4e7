package plan

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/faultline-go/faultline/engine/scenario"
)

// Turn is a time at which an experiment of a group has happened.
type Turn struct {
	At  time.Time
	Run string
}

// Chance is what the draw of a day says. It follows from the group, the day and the
// scenario's seed, if it has one, alone: whoever draws, and however often, draws the same,
// so that several runners do not raise the probability.
//
// The rules are those that Netflix has published of its Chaos Monkey
// (https://netflix.github.io/chaosmonkey): on each work day with a probability of one by
// the mean time between turns, at a time of the day that is drawn, and never within the
// minimum time of the one before.
type Chance struct {
	MeanDays float64 `json:"mean_days"`
	MinDays  int     `json:"min_days"`
	Group    string  `json:"group"`
	Ledger   string  `json:"ledger,omitempty"` // folder; empty: that of the state
	Hours    string  `json:"hours"`            // for people
	Day      string  `json:"day"`              // "2026-11-25", in the zone of the hours
	Drawn    bool    `json:"drawn"`            // the draw fell on the day
	At       string  `json:"at,omitempty"`     // from this time of the day on; empty: from the first hour
	Last     string  `json:"last,omitempty"`   // day of the latest turn

	source *scenario.Chance
}

// drawn is a chance with what follows from it.
type drawn struct {
	chance *Chance
	notDue string // why the experiment does not happen now
}

// draw decides which experiments are not due. One that waits for another that is not due
// is not due either.
func draw(s *scenario.Scenario, o Options) (map[string]*drawn, error) {
	now := o.Now
	if now.IsZero() {
		now = time.Now()
	}
	seed := int64(0)
	if s.Seed != nil {
		seed = *s.Seed
	}
	all := map[string]*drawn{}
	for _, e := range s.Experiments { // each after those it depends on
		if e.Chance != nil {
			if o.LastTurn == nil {
				return nil, errors.New("experiment " + e.Name + " happens by chance, and there is no ledger of its turns")
			}
			last, err := o.LastTurn(e.Chance.Ledger, e.Chance.Group)
			if err != nil {
				return nil, Problems{{Pos: e.Chance.Pos, Summary: fmt.Sprintf("the ledger of experiment %s cannot be read", e.Name), Detail: err.Error()}}
			}
			c := newChance(e.Chance, seed, now)
			all[e.Name] = &drawn{chance: c, notDue: c.notDue(now, last)}
		}
		for _, name := range e.DependsOn {
			if before := all[name]; before != nil && before.notDue != "" {
				if all[e.Name] == nil {
					all[e.Name] = &drawn{}
				}
				all[e.Name].notDue = fmt.Sprintf("not due: it depends on %s, which is not due", name)
			}
		}
	}
	return all, nil
}

const dayForm = "2006-01-02"

func newChance(c *scenario.Chance, seed int64, now time.Time) *Chance {
	day := now.In(c.Window.Zone).Format(dayForm)
	rng := rand.New(rand.NewPCG(uint64(seed), nameHash(c.Group+" "+day)))
	out := &Chance{
		MeanDays: c.MeanDays, MinDays: c.MinDays, Group: c.Group, Ledger: c.Ledger,
		Hours: strings.TrimSpace(describeWindow(c.Window)), Day: day, source: c,
	}
	out.Drawn = rng.Float64() < 1/c.MeanDays
	if c.Drawn {
		out.At = clock(c.Window.From + time.Duration(rng.Float64()*float64(c.Window.To-c.Window.From)))
	}
	return out
}

// clock is a time of the day; such texts sort by time.
func clock(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d:%02d", int(d/time.Hour), int(d/time.Minute)%60, int(d/time.Second)%60)
}

// notDue says why there is no turn now; empty when there is one.
func (c *Chance) notDue(now time.Time, last *Turn) string {
	w := c.source.Window
	local := now.In(w.Zone)
	if last != nil {
		c.Last = last.At.In(w.Zone).Format(dayForm)
	}
	from := max(clock(w.From), c.At)
	switch at := local.Format(time.TimeOnly); {
	case len(w.Days) > 0 && !slices.Contains(w.Days, local.Weekday()):
		return fmt.Sprintf("not due today: %s %s is no work day", local.Weekday(), c.Day)
	case c.TooSoon(now, last) != "":
		return c.TooSoon(now, last)
	case !c.Drawn:
		return fmt.Sprintf("not due today: the draw for %s, with a chance of 1 in %g, did not fall on it", c.Day, c.MeanDays)
	case at > clock(w.To):
		return fmt.Sprintf("not due any more: the hours of %s (%s) are over", c.Day, c.Hours)
	case at < from:
		return fmt.Sprintf("not due yet: its time on %s is from %s %s on", c.Day, from, w.Zone)
	}
	return ""
}

// TooSoon says why there may be no turn so soon after the latest one; empty when there
// may. It is asked once more, by the keeper of the ledger, when a turn is taken.
func (c *Chance) TooSoon(now time.Time, last *Turn) string {
	if last == nil {
		return ""
	}
	w := c.source.Window
	days := workDays(last.At.In(w.Zone), now.In(w.Zone), w.Days)
	if days >= c.MinDays {
		return ""
	}
	was := last.At.In(w.Zone).Format("2006-01-02 15:04")
	if days == 0 {
		return fmt.Sprintf("not due again: it had its turn on %s, in run %s", was, last.Run)
	}
	return fmt.Sprintf("not due so soon: it had its turn on %s, in run %s, and the least is %d work days from one to the next", was, last.Run, c.MinDays)
}

// workDays counts the work days after one day, up to another; 0 when that is earlier. No
// days are all days. It does not count for ever: nobody asks for years between turns.
func workDays(from, to time.Time, days []time.Weekday) int {
	const most = 10 * 366
	n := 0
	for d := range most {
		day := noon(from).AddDate(0, 0, d+1)
		if day.After(noon(to)) {
			return n
		}
		if len(days) == 0 || slices.Contains(days, day.Weekday()) {
			n++
		}
	}
	return most
}

// noon of a day is clear of every change of the clock.
func noon(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 12, 0, 0, 0, t.Location())
}

// Due says whether anything of the plan is to happen now; if not, why, a line an
// experiment.
func (p *Plan) Due() (due bool, why []string) {
	for _, e := range p.Experiments {
		if e.NotDue == "" {
			return true, nil
		}
		why = append(why, fmt.Sprintf("experiment %s: %s", e.Spec.Name, e.NotDue))
	}
	return len(p.Experiments) == 0, why
}
