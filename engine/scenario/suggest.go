package scenario

import (
	"fmt"
	"sort"
	"strings"

	"github.com/agext/levenshtein"
)

// maxSuggestions bounds the work for a scenario in which every name is wrong.
const maxSuggestions = 200

// didYouMean is a sentence with the name that was probably meant, with a space
// before it, or nothing.
func (l *loader) didYouMean(given string, names []string) string {
	if l.suggested >= maxSuggestions {
		return ""
	}
	l.suggested++
	if n := closest(given, names); n != "" {
		return fmt.Sprintf(" Did you mean %q?", n)
	}
	return ""
}

// closest returns the name nearest to the one given, or nothing when none is near.
func closest(given string, names []string) string {
	low := strings.ToLower(given)
	best, distance := "", max(1, (len(given)+1)/3)+1
	for _, n := range names {
		other := strings.ToLower(n)
		if len(low) >= 3 && strings.HasPrefix(other, low) && distance > 1 {
			best, distance = n, 1
			continue
		}
		if d := len(low) - len(other); d >= distance || -d >= distance {
			continue
		}
		if d := levenshtein.Distance(low, other, nil); d < distance {
			best, distance = n, d
		}
	}
	return best
}

// anyOf lists names of which one is meant: `"a", "b" or "c"`.
func anyOf(names []string) string { return list(names, " or ") }

// allOf lists names that there are: `"a", "b" and "c"`.
func allOf(names []string) string { return list(names, " and ") }

func list(names []string, last string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	if len(quoted) < 2 {
		return strings.Join(quoted, "")
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + last + quoted[len(quoted)-1]
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
