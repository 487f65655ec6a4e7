package plan

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
)

// fleet is n lamps, in turn in the zones.
func fleet(n int, zones ...string) []schema.Candidate {
	var out []schema.Candidate
	for i := range n {
		c := schema.Candidate{Kind: "lamp", ID: fmt.Sprintf("id-%02d", i), Name: fmt.Sprintf("lamp-%d", i), Attributes: map[string]any{"n": float64(i)}}
		if len(zones) > 0 {
			c.Attributes["zone"] = zones[i%len(zones)]
			c.Attributes["labels"] = map[string]any{"rack": zones[i%len(zones)] + "-rack"}
		}
		out = append(out, c)
	}
	return out
}

func ids(all []schema.Candidate) []string {
	out := []string{}
	for _, c := range all {
		out = append(out, c.ID)
	}
	return out
}

// keeps is a filter in Go.
type keeps func(schema.Candidate) (bool, error)

func (k keeps) Eval(c schema.Candidate) (bool, error) { return k(c) }
func (keeps) Source() string                          { return "candidate.n" }
func (keeps) Pos() string                             { return "day.hcl:7" }

func even(c schema.Candidate) (bool, error) { return int(c.Attributes["n"].(float64))%2 == 0, nil }

func TestChooseHowMany(t *testing.T) {
	for _, c := range []struct {
		name    string
		pick    scenario.Pick
		filters []scenario.Filter
		of      []schema.Candidate
		want    int
		err     string
	}{
		{name: "one unless told otherwise", of: fleet(9), want: 1},
		{name: "a count", pick: scenario.Pick{Count: 4}, of: fleet(9), want: 4},
		{name: "more than there are", pick: scenario.Pick{Count: 4}, of: fleet(3), err: "4 are to be picked and only 3 match"},
		{name: "all", pick: scenario.Pick{All: true}, of: fleet(9), want: 9},
		{name: "percent rounds down", pick: scenario.Pick{Percent: 34}, of: fleet(8), want: 2},
		{name: "exact percent", pick: scenario.Pick{Percent: 50}, of: fleet(8), want: 4},
		{name: "percent that binary fractions spoil", pick: scenario.Pick{Percent: 57.3}, of: fleet(1000), want: 573},
		{name: "a percent of too few", pick: scenario.Pick{Percent: 34}, of: fleet(2), err: "34 % of the 2 that match, rounded down, is none"},
		{name: "whole groups", pick: scenario.Pick{Groups: 2, GroupBy: "zone"}, of: fleet(9, "a", "b", "c"), want: 6},
		{name: "groups by a nested attribute", pick: scenario.Pick{Groups: 1, GroupBy: "labels.rack"}, of: fleet(9, "a", "b", "c"), want: 3},
		{name: "too many groups", pick: scenario.Pick{Groups: 4, GroupBy: "zone"}, of: fleet(9, "a", "b", "c"), err: `4 groups by "zone" are to be picked and there are only 3`},
		{name: "no such attribute", pick: scenario.Pick{Groups: 1, GroupBy: "rack"}, of: fleet(2), err: `lamp-0 has no attribute "rack" to group by`},
		{name: "filtered first", pick: scenario.Pick{Percent: 50}, filters: []scenario.Filter{keeps(even)}, of: fleet(9), want: 2},
		{name: "nothing passes", filters: []scenario.Filter{keeps(func(schema.Candidate) (bool, error) { return false, nil })}, of: fleet(9)},
		{name: "nothing found"},
		{
			name: "a filter that fails", filters: []scenario.Filter{keeps(func(schema.Candidate) (bool, error) { return false, errors.New("no such attribute") })},
			of: fleet(2), err: "day.hcl:7: filter on lamp-0: no such attribute",
		},
		{name: "an identity twice", of: append(fleet(2), fleet(1)...), err: "two candidates have the identity id-00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := &scenario.Target{Name: "lamp.all", Pick: c.pick, Filters: c.filters}
			_, picked, err := choose(target, 42, c.of)
			switch {
			case c.err != "" && (err == nil || err.Error() != c.err):
				t.Errorf("got %v, want %s", err, c.err)
			case c.err == "" && err != nil:
				t.Error(err)
			case len(picked) != c.want:
				t.Errorf("picked %v, want %d", ids(picked), c.want)
			case !slices.IsSorted(ids(picked)):
				t.Errorf("not in order of identity: %v", ids(picked))
			}
		})
	}
}

func TestChooseIsTheSameForASeed(t *testing.T) {
	target := &scenario.Target{Name: "lamp.all", Pick: scenario.Pick{Count: 3}}
	of := fleet(20)
	_, first, err := choose(target, 42, of)
	if err != nil {
		t.Fatal(err)
	}
	// The order in which candidates are found does not matter.
	slices.Reverse(of)
	if _, again, _ := choose(target, 42, of); !slices.Equal(ids(first), ids(again)) {
		t.Errorf("%v, and then %v", ids(first), ids(again))
	}
	// Another seed or another block chooses by itself.
	differ := func(name string, seed int64) bool {
		_, other, _ := choose(&scenario.Target{Name: name, Pick: target.Pick}, seed, of)
		return !slices.Equal(ids(first), ids(other))
	}
	if !differ("lamp.all", 43) || !differ("lamp.others", 42) {
		t.Error("another seed or block chooses the same")
	}
}

// Every candidate has its turn over many seeds.
func TestChooseIsFair(t *testing.T) {
	const seeds = 3000
	of := fleet(6)
	turns := map[string]int{}
	for seed := range int64(seeds) {
		_, picked, err := choose(&scenario.Target{Name: "lamp.all", Pick: scenario.Pick{Count: 1}}, seed, of)
		if err != nil {
			t.Fatal(err)
		}
		turns[picked[0].ID]++
	}
	for _, c := range of { // 500 expected; five standard deviations are about 100
		if n := turns[c.ID]; n < 400 || n > 600 {
			t.Errorf("%s was picked %d times of %d", c.ID, n, seeds)
		}
	}
}

func TestAttribute(t *testing.T) {
	c := schema.Candidate{Attributes: map[string]any{"zone": "a", "n": 3.0, "labels": map[string]any{"rack": "r1"}, "none": nil}}
	for name, want := range map[string]string{"zone": "a", "n": "3", "labels.rack": "r1", "labels.row": "", "zone.x": "", "none": "", "other": ""} {
		if got := attribute(c, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := attribute(schema.Candidate{}, "zone"); got != "" {
		t.Errorf("without attributes: %q", got)
	}
}
