package plan

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/scenario"
)

var (
	berlin   = mustZone("Europe/Berlin")
	workWeek = []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
)

func mustZone(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return zone
}

// inBerlin is a time of November 2026, of which the 25th is a Wednesday.
func inBerlin(day, hour, minute int) time.Time {
	return time.Date(2026, 11, day, hour, minute, 0, 0, berlin)
}

func chanceOf(mean float64, least int, drawn bool) *scenario.Chance {
	return &scenario.Chance{
		MeanDays: mean, MinDays: least, Drawn: drawn, Group: "shop/web", Pos: "day.hcl:7",
		Window: scenario.Window{Days: workWeek, From: 9 * time.Hour, To: 15 * time.Hour, Zone: berlin},
	}
}

func TestNotDue(t *testing.T) {
	last := func(at time.Time) *Turn { return &Turn{At: at, Run: "r0"} }
	for _, c := range []struct {
		name  string
		least int
		now   time.Time
		last  *Turn
		want  string // prefix; empty: due
	}{
		{"in its hours", 1, inBerlin(25, 10, 0), nil, ""},
		{"at the first minute", 1, inBerlin(25, 9, 0), nil, ""},
		{"at the last", 1, inBerlin(25, 15, 0), nil, ""},
		{"too early", 1, inBerlin(25, 8, 59), nil, "not due yet: its time on 2026-11-25 is from 09:00:00 Europe/Berlin on"},
		{"too late", 1, inBerlin(25, 15, 1), nil, "not due any more: the hours of 2026-11-25 (mon,tue,wed,thu,fri 09:00-15:00 Europe/Berlin) are over"},
		{"on a Saturday", 1, inBerlin(28, 10, 0), nil, "not due today: Saturday 2026-11-28 is no work day"},
		{"by another clock", 1, time.Date(2026, 11, 27, 23, 30, 0, 0, time.UTC), nil, "not due today: Saturday 2026-11-28 is no work day"},
		{"the same day", 1, inBerlin(25, 11, 0), last(inBerlin(25, 10, 0)), "not due again: it had its turn on 2026-11-25 10:00, in run r0"},
		{"the next day", 1, inBerlin(25, 11, 0), last(inBerlin(24, 14, 0)), ""},
		{"the next day, of two", 2, inBerlin(25, 11, 0), last(inBerlin(24, 14, 0)), "not due so soon"},
		{"over a weekend", 2, inBerlin(23, 11, 0), last(inBerlin(20, 14, 0)), "not due so soon"},
		{"after a weekend", 2, inBerlin(24, 11, 0), last(inBerlin(20, 14, 0)), ""},
		{"a turn in the future", 1, inBerlin(25, 11, 0), last(inBerlin(26, 14, 0)), "not due again"},
		{"a turn of old", 5, inBerlin(25, 11, 0), last(time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := newChance(chanceOf(1, c.least, false), 0, c.now).notDue(c.now, c.last)
			if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// On a fifth of all work days, at times that fill the hours, and always the same ones.
func TestDraw(t *testing.T) {
	const days = 4000
	drawn, early := 0, 0
	for d := range days {
		at := inBerlin(1, 12, 0).AddDate(0, 0, d)
		c := newChance(chanceOf(5, 1, true), 0, at)
		again := newChance(chanceOf(5, 1, true), 0, at.Add(2*time.Hour))
		if c.Drawn != again.Drawn || c.At != again.At {
			t.Fatalf("%s is drawn twice, and not the same: %+v, %+v", c.Day, c, again)
		}
		if c.At < "09:00:00" || c.At > "15:00:00" {
			t.Fatalf("%s is drawn for %s, outside its hours", c.Day, c.At)
		}
		if c.Drawn {
			drawn++
			if c.At < "12:00:00" {
				early++
			}
		}
	}
	// Four standard deviations: 25 of 800, 14 of 400.
	if drawn < 700 || drawn > 900 {
		t.Errorf("%d of %d days are drawn, want about 800", drawn, days)
	}
	if early < drawn/2-60 || early > drawn/2+60 {
		t.Errorf("%d of %d are in the first half of the hours", early, drawn)
	}
	other := 0
	for d := range 100 {
		at := inBerlin(1, 12, 0).AddDate(0, 0, d)
		if newChance(chanceOf(2, 1, true), 0, at).Drawn != newChance(chanceOf(2, 1, true), 1, at).Drawn {
			other++
		}
	}
	if other == 0 {
		t.Error("another seed draws the same days")
	}
}

func TestNotDueBeforeItsTime(t *testing.T) {
	now := inBerlin(25, 9, 0)
	c := newChance(chanceOf(1, 1, true), 0, now)
	at, err := time.ParseInLocation(time.DateTime, c.Day+" "+c.At, berlin)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.notDue(at.Add(-time.Second), nil); !strings.HasPrefix(got, "not due yet: its time on 2026-11-25 is from "+c.At) {
		t.Errorf("before %s: %q", c.At, got)
	}
	if got := c.notDue(at, nil); got != "" {
		t.Errorf("at %s: %q", c.At, got)
	}
}

// byChance is the game day of these tests, by chance.
func byChance(mean float64) *scenario.Scenario {
	s := gameDay()
	s.Experiments[0].Chance = chanceOf(mean, 1, false)
	s.Experiments[0].Source = "catalog:chaos-monkey"
	after := *s.Experiments[0]
	after.Name, after.Chance, after.Source, after.DependsOn = "then", nil, "", []string{s.Experiments[0].Name}
	s.Experiments = append(s.Experiments, &after)
	return s
}

func TestBuildByChance(t *testing.T) {
	never := func(string, string) (*Turn, error) { return nil, nil }
	l := &lamps{found: fleet(3)}
	due, err := Build(t.Context(), byChance(1), l, Options{Now: inBerlin(25, 10, 0), LastTurn: never})
	if err != nil {
		t.Fatal(err)
	}
	if ok, _ := due.Due(); !ok || due.Experiments[0].NotDue != "" || !due.Experiments[0].Chance.Drawn || len(l.prepared) != 2 {
		t.Errorf("due: %+v, prepared %v", due.Experiments[0].Chance, l.prepared)
	}
	l = &lamps{found: nil} // what is not due needs no target
	idle, err := Build(t.Context(), byChance(1), l, Options{Now: inBerlin(28, 10, 0), LastTurn: never})
	if err != nil {
		t.Fatal(err)
	}
	ok, why := idle.Due()
	if ok || len(why) != 2 || why[0] != "experiment lose-one: not due today: Saturday 2026-11-28 is no work day" ||
		why[1] != "experiment then: not due: it depends on lose-one, which is not due" || len(l.prepared) != 0 {
		t.Errorf("due %t: %q, prepared %v", ok, why, l.prepared)
	}
	if d := Drift(idle, due); !strings.Contains(d, "experiment lose-one was not due today") || !strings.HasSuffix(d, "now it is due") {
		t.Errorf("drift %q", d)
	}
	var shown bytes.Buffer
	if err := idle.Show(&shown); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"from catalog:chaos-monkey", "by chance, 1 in 1 on a work day", "is left out: not due today"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("the plan does not show %q:\n%s", want, &shown)
		}
	}

	// Whom it hits is drawn anew every day, whatever the scenario's seed.
	hit := map[string]bool{}
	for d := range 14 {
		p, err := Build(t.Context(), byChance(1), &lamps{found: fleet(3)}, Options{Now: inBerlin(2+d, 10, 0), LastTurn: never})
		if err != nil {
			t.Fatal(err)
		}
		if ok, _ := p.Due(); ok {
			hit[p.Experiments[0].Steps[0].Targets[0].ID] = true
		}
	}
	if len(hit) < 2 {
		t.Errorf("over two weeks only %v are hit", hit)
	}
}

func TestBuildWithABadLedger(t *testing.T) {
	bad := func(string, string) (*Turn, error) { return nil, errors.New("it is damaged") }
	_, err := Build(t.Context(), byChance(1), &lamps{found: fleet(3)}, Options{Now: inBerlin(25, 10, 0), LastTurn: bad})
	var problems Problems
	if !errors.As(err, &problems) || problems[0].Pos != "day.hcl:7" || problems[0].Detail != "it is damaged" {
		t.Errorf("error %v", err)
	}
	if _, err := Build(t.Context(), byChance(1), &lamps{found: fleet(3)}, Options{}); err == nil {
		t.Error("a chance without a ledger was planned")
	}
}

func TestEndsAfter(t *testing.T) {
	prompt := func(name string, offset int, after ...string) Step {
		return Step{Kind: scenario.PromptStep, Name: name, Offset: time.Duration(offset) * time.Second, Timeout: time.Minute, After: after, Prompt: &Prompt{Question: "?", Default: "stop"}}
	}
	drained := faultAt("drained", 0, 600, "ready")
	drained.EndsAfter = []string{"moved"}
	steps := []Step{drained, prompt("ready", 0), prompt("moved", 20, "ready"), actionAt("back", 1, "drained")}
	if err := layOut(steps); err != nil {
		t.Fatal(err)
	}
	if steps[0].end != 20*time.Second || steps[3].Start != 21*time.Second {
		t.Errorf("the fault ends at %s, what follows begins at %s", steps[0].end, steps[3].Start)
	}
	if first, last := underFault(steps); first != 0 || last != 20*time.Second {
		t.Errorf("under fault from %s to %s", first, last)
	}
	if end, last := longest(steps); end != 661*time.Second || last != 660*time.Second {
		t.Errorf("at most to %s, the fault to %s", end, last)
	}
	steps[1].After = []string{"drained"}
	if err := layOut(steps); err == nil {
		t.Error("a circle by ends_after is laid out")
	}
}
