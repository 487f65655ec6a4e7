package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// number writes a count with thousands separators: 1,204.
func number(n int) string {
	s := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// counted writes a count with its noun: 1 request, 2 requests.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// goodShare writes a share as per cent, rounded down: what is not perfect never
// reads as 100 %.
func goodShare(v float64) string { return percent(math.Floor(v*1e5+1e-7) / 1e3) }

// badShare writes a share as per cent, rounded up to two digits: a bound never
// reads as less than it is.
func badShare(v float64) string {
	p := v * 100
	if p <= 0 {
		return "0 %"
	}
	unit := unitOf(p)
	return percent(min(math.Ceil(p/unit-1e-7)*unit, 100))
}

// unitOf is the place of a positive number's second digit.
func unitOf(p float64) float64 { return math.Pow(10, math.Floor(math.Log10(p))-1) }

// shareBounds writes the two ends of an interval of bad shares, each rounded outwards: the
// upper one as badShare does, the lower one to the same place, unless nothing were left
// of it.
func shareBounds(low, high float64) (from, to string) {
	to = badShare(high)
	p := low * 100
	if p <= 0 || high <= 0 {
		return "0 %", to
	}
	unit := min(unitOf(high*100), 1)
	if p < unit {
		unit = unitOf(p)
	}
	return percent(math.Floor(p/unit+1e-7) * unit), to
}

// sharePercent writes a share as per cent, rounded to the nearest.
func sharePercent(v float64) string { return percent(math.Round(v*1e5) / 1e3) }

// roughly writes a share as per cent with two digits, for sentences; never as 100 % what
// is not, and never as nothing what is something.
func roughly(v float64) string {
	p := v * 100
	if p <= 0 || p >= 99 {
		return goodShare(v)
	}
	unit := unitOf(p)
	return percent(math.Round(p/unit) * unit)
}

func percent(p float64) string {
	s := strconv.FormatFloat(p, 'f', 6, 64)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".") + " %"
}

// length writes a number of seconds for people: 0.15 s, 20 s, 2 min 5 s, 1 h 3 min.
func length(s float64) string {
	switch {
	case s < 0:
		return "-" + length(-s)
	case s == 0:
		return "0 s"
	case s < 0.0005:
		return "< 1 ms"
	case s < 0.9995:
		return fmt.Sprintf("%.0f ms", s*1000)
	case s < 9.995:
		return trim(s, 2) + " s"
	case s < 59.95:
		return trim(s, 1) + " s"
	}
	whole := int(math.Round(min(s, 1e12)))
	if whole < 3600 {
		return two(whole/60, "min", whole%60, "s")
	}
	minutes := (whole + 30) / 60
	if minutes < 24*60 {
		return two(minutes/60, "h", minutes%60, "min")
	}
	hours := (minutes + 30) / 60
	return two(hours/24, "d", hours%24, "h")
}

func two(a int, unitA string, b int, unitB string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, unitA)
	}
	return fmt.Sprintf("%d %s %d %s", a, unitA, b, unitB)
}

func trim(v float64, digits int) string {
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// millis writes seconds as a bare number of milliseconds, with as many digits as
// are worth it.
func millis(s float64) string {
	ms := s * 1000
	switch {
	case ms < 10:
		return trim(ms, 2)
	case ms < 100:
		return trim(ms, 1)
	}
	return number(int(math.Round(min(ms, 1e15))))
}

// clock writes a moment in UTC.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// list joins names as a sentence does: a, b and c.
func list(names []string) string {
	switch n := len(names); n {
	case 0:
		return ""
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}
