package judge

import (
	"strconv"
	"strings"
)

// count writes a number for people: 1,204.
func count(n int) string {
	s := strconv.Itoa(n)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if neg {
		return "-" + s
	}
	return s
}

// share writes a share of 1 as per cent with at most three decimals: 99.9 %.
func share(v float64) string {
	s := strconv.FormatFloat(v*100, 'f', 3, 64)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".") + " %"
}
