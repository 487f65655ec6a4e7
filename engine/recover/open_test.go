package recover

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
)

func intent(id string, targets ...string) *journal.FaultIntent {
	i := &journal.FaultIntent{ID: id, Experiment: "x", Fault: "lamp_off." + id, Type: "lamp_off", Plugin: "lamp"}
	for _, t := range targets {
		i.Targets = append(i.Targets, journal.TargetIntent{ID: t, Name: "lamp " + t, Undo: json.RawMessage(`{"id":"` + t + `"}`)})
	}
	return i
}

func reverted(id string, outcomes ...journal.TargetOutcome) *journal.FaultReverted {
	return &journal.FaultReverted{ID: id, Targets: outcomes}
}

func outcome(id string, o journal.Outcome, residue bool) journal.TargetOutcome {
	return journal.TargetOutcome{ID: id, Outcome: o, Residue: residue}
}

func found(when, fault, target string) *journal.Residue {
	return &journal.Residue{When: when, Findings: []journal.Finding{{Plugin: "lamp", Fault: fault, Target: target, Detail: "off"}}}
}

func events(data ...journal.Data) (out []journal.Event) {
	for _, d := range data {
		out = append(out, journal.Event{Data: d})
	}
	return out
}

// openTargets is what is open, as fault/target; with + what is to be undone again.
func openTargets(all []journal.Event) []string {
	out := []string{}
	for _, f := range Open(all) {
		for _, t := range f.Open {
			again := ""
			if f.Again {
				again = "+"
			}
			out = append(out, f.Intent.ID+"/"+t.ID+again)
		}
	}
	return out
}

func TestOpen(t *testing.T) {
	ok := journal.Reverted
	for _, c := range []struct {
		name string
		in   []journal.Event
		want []string
	}{
		{name: "nothing"},
		{name: "an intent alone", in: events(intent("f1", "a", "b")), want: []string{"f1/a", "f1/b"}},
		{name: "active", in: events(intent("f1", "a"), &journal.FaultActive{ID: "f1"}), want: []string{"f1/a"}},
		{name: "reverted", in: events(intent("f1", "a"), reverted("f1", outcome("a", ok, false)))},
		{name: "already gone", in: events(intent("f1", "a"), reverted("f1", outcome("a", journal.AlreadyGone, false)))},
		{name: "changed by somebody else", in: events(intent("f1", "a"), reverted("f1", outcome("a", journal.ForeignChange, false)))},
		{name: "changed by somebody else, and bites", in: events(intent("f1", "a"), reverted("f1", outcome("a", journal.ForeignChange, true))), want: []string{"f1/a"}},
		{name: "failed", in: events(intent("f1", "a"), reverted("f1", outcome("a", journal.RevertFailed, false))), want: []string{"f1/a"}},
		{name: "half", in: events(intent("f1", "a", "b"), reverted("f1", outcome("a", ok, false))), want: []string{"f1/b"}},
		{name: "failed and then reverted", in: events(intent("f1", "a"), reverted("f1", outcome("a", journal.RevertFailed, true)), reverted("f1", outcome("a", ok, false)))},
		{name: "a later failure does not open what was put back", in: events(intent("f1", "a"), reverted("f1", outcome("a", ok, false)), reverted("f1", outcome("a", journal.RevertFailed, true)))},
		{name: "another fault's revert", in: events(intent("f1", "a"), intent("f2", "a"), reverted("f2", outcome("a", ok, false))), want: []string{"f1/a"}},
		{name: "in the order of injection", in: events(intent("f2", "a"), intent("f1", "b")), want: []string{"f2/a", "f1/b"}},
		{name: "found by a scan after it was put back", in: events(intent("f1", "a", "b"), reverted("f1", outcome("a", ok, false), outcome("b", ok, false)), found("after", "f1", "a")), want: []string{"f1/a+"}},
		{name: "found by its name", in: events(intent("f1", "a"), reverted("f1", outcome("a", ok, false)), found("after", "lamp_off.f1", "lamp a")), want: []string{"f1/a+"}},
		{name: "found before the run", in: events(found("before", "f1", "a"), intent("f1", "a"), reverted("f1", outcome("a", ok, false)))},
		{name: "found, and put back", in: events(intent("f1", "a"), reverted("f1", outcome("a", ok, false)), found("after", "f1", "a"), reverted("f1", outcome("a", ok, false)))},
		{name: "something that is not ours to undo", in: events(intent("f1", "a"), reverted("f1", outcome("a", ok, false)), found("after", "", "z"))},
		{name: "found and open anyway", in: events(intent("f1", "a"), found("after", "f1", "a")), want: []string{"f1/a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := openTargets(c.in); !slices.Equal(got, append([]string{}, c.want...)) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// Whatever is written in whatever order, a target is open exactly when the last thing
// said of it is not that it was put back; and reading a journal changes nothing in it.
func TestOpenIsTheLastWord(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var in []journal.Event
		want := map[string]bool{}
		var order []string
		for f := range 1 + rng.IntN(3) {
			id := fmt.Sprintf("f%d", f)
			in = append(in, events(intent(id, "a", "b", "c"))...)
			for _, x := range []string{"a", "b", "c"} {
				order, want[id+"/"+x] = append(order, id+"/"+x), true
			}
		}
		for range rng.IntN(12) {
			id, x := fmt.Sprintf("f%d", rng.IntN(3)), string(rune('a'+rng.IntN(3)))
			key := id + "/" + x
			_, known := want[key]
			switch rng.IntN(4) {
			case 0:
				in = append(in, events(reverted(id, outcome(x, journal.RevertFailed, true)))...)
			case 1, 2:
				in = append(in, events(reverted(id, outcome(x, journal.Reverted, false)))...)
				if known {
					want[key] = false
				}
			case 3:
				in = append(in, events(found("after", id, x))...)
				if known {
					want[key] = true
				}
			}
		}
		before, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, f := range Open(in) {
			for _, x := range f.Open {
				got[f.Intent.ID+"/"+x.ID] = true
			}
		}
		for _, key := range order {
			if got[key] != want[key] {
				t.Fatalf("%s is open: %v, want %v, after %s", key, got[key], want[key], before)
			}
		}
		if after, _ := json.Marshal(in); string(after) != string(before) {
			t.Fatal("reading a journal has changed it")
		}
	}
}

func TestSettleTime(t *testing.T) {
	f := Fault{Intent: &journal.FaultIntent{Experiment: "x", Fault: "lamp_off.a"}}
	plan := `{"experiments":[{"spec":{"name":"w"},"steps":[{"name":"lamp_off.a","settle_ns":1}]},{"spec":{"name":"x"},"steps":[{"name":"lamp_off.a","settle_ns":3000000000}]}]}`
	for raw, want := range map[string]time.Duration{plan: 3 * time.Second, `{}`: 0, `[`: 0} {
		if got := f.settleTime(&journal.RunStarted{Plan: json.RawMessage(raw)}); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := f.settleTime(nil); got != 0 {
		t.Errorf("got %s", got)
	}
}
