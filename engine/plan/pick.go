package plan

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
)

// ZoneAttribute is the attribute that names a candidate's failure domain.
const ZoneAttribute = "zone"

// choose filters the candidates of a target block and picks among them. It returns
// those that passed the filters, in order of id, and those that were picked, in the
// same order. The choice depends on the seed, the block's name and the candidates
// alone, so that another block's change does not move it.
func choose(t *scenario.Target, seed int64, all []schema.Candidate) (passed, picked []schema.Candidate, err error) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b schema.Candidate) int { return strings.Compare(a.ID, b.ID) })
	for i, c := range all {
		if i > 0 && all[i-1].ID == c.ID {
			return nil, nil, fmt.Errorf("two candidates have the identity %s", c.ID)
		}
		ok, err := passes(t.Filters, c)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			passed = append(passed, c)
		}
	}
	if len(passed) == 0 {
		return nil, nil, nil
	}
	rng := rand.New(rand.NewPCG(uint64(seed), nameHash(t.Name)))
	shuffled := slices.Clone(passed)
	rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	p := t.Pick
	switch {
	case p.All:
		picked = shuffled
	case p.Groups > 0:
		picked, err = pickGroups(p, passed, rng)
	case p.Percent > 0:
		n := int(float64(len(passed))*p.Percent/100 + 1e-9) // 57.3 % of 1000 is 573, whatever binary fractions say
		if n == 0 {
			return passed, nil, fmt.Errorf("%g %% of the %d that match, rounded down, is none", p.Percent, len(passed))
		}
		picked = shuffled[:n]
	default:
		n := max(p.Count, 1)
		if n > len(passed) {
			return passed, nil, fmt.Errorf("%d are to be picked and only %d match", n, len(passed))
		}
		picked = shuffled[:n]
	}
	slices.SortFunc(picked, func(a, b schema.Candidate) int { return strings.Compare(a.ID, b.ID) })
	return passed, picked, err
}

func passes(filters []scenario.Filter, c schema.Candidate) (bool, error) {
	for _, f := range filters {
		ok, err := f.Eval(c)
		if err != nil {
			return false, fmt.Errorf("%s: filter on %s: %w", f.Pos(), c.Name, err)
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

func pickGroups(p scenario.Pick, passed []schema.Candidate, rng *rand.Rand) ([]schema.Candidate, error) {
	groups := map[string][]schema.Candidate{}
	var names []string
	for _, c := range passed {
		name := attribute(c, p.GroupBy)
		if name == "" {
			return nil, fmt.Errorf("%s has no attribute %q to group by", c.Name, p.GroupBy)
		}
		if groups[name] == nil {
			names = append(names, name)
		}
		groups[name] = append(groups[name], c)
	}
	if p.Groups > len(names) {
		return nil, fmt.Errorf("%d groups by %q are to be picked and there are only %d", p.Groups, p.GroupBy, len(names))
	}
	slices.Sort(names)
	rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var picked []schema.Candidate
	for _, name := range names[:p.Groups] {
		picked = append(picked, groups[name]...)
	}
	return picked, nil
}

// attribute is a candidate's attribute as text, empty when it has none. A dot leads
// into a map: "labels.rack".
func attribute(c schema.Candidate, name string) string {
	var v any = c.Attributes
	for part := range strings.SplitSeq(name, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[part]
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func nameHash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	return h.Sum64()
}
