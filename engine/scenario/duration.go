package scenario

import (
	"fmt"
	"strings"
	"time"

	"github.com/faultline-go/faultline/internal/lazyregexp"
)

// parseDuration reads "300ms", "2m" or "1h30m". When it cannot, hint says what to
// write instead.
func parseDuration(s string) (d time.Duration, hint string, ok bool) {
	d, err := time.ParseDuration(s)
	if err == nil && s != "0" {
		return d, "", true
	}
	if s == "0" {
		return 0, "", true
	}
	return 0, durationHint(s), false
}

var (
	bareNumber = lazyregexp.New(`^[+-]?[0-9]+(\.[0-9]+)?$`)
	withWord   = lazyregexp.New(`^([0-9]+(?:\.[0-9]+)?)\s*([A-Za-zµ]+)\.?$`)
)

// unitWords are what people write for a unit.
var unitWords = map[string]string{
	"ns": "ns", "us": "us", "µs": "us", "ms": "ms", "s": "s", "m": "m", "h": "h",
	"msec": "ms", "millis": "ms", "millisecond": "ms", "milliseconds": "ms",
	"sec": "s", "secs": "s", "second": "s", "seconds": "s",
	"min": "m", "mins": "m", "minute": "m", "minutes": "m",
	"hr": "h", "hrs": "h", "hour": "h", "hours": "h",
	"d": "d", "day": "d", "days": "d",
}

func durationHint(s string) string {
	trimmed := strings.TrimSpace(s)
	if bareNumber().MatchString(trimmed) {
		return numberHint(trimmed)
	}
	if joined := strings.Join(strings.Fields(trimmed), ""); joined != s {
		if _, err := time.ParseDuration(joined); err == nil {
			return fmt.Sprintf("write %q", joined)
		}
	}
	if m := withWord().FindStringSubmatch(trimmed); m != nil {
		word := strings.ToLower(m[2])
		unit, known := unitWords[word]
		if !known {
			unit = unitWords[closest(word, sortedKeys(unitWords))]
		}
		if unit == "d" {
			if n, err := time.ParseDuration(m[1] + "h"); err == nil && n < 100000*time.Hour {
				return fmt.Sprintf("days are written in hours: %q", plainDuration(n*24))
			}
		} else if unit != "" {
			return fmt.Sprintf("write %q", m[1]+unit)
		}
	}
	return `write a number and a unit, such as "300ms", "5s", "2m" or "1h"`
}

// numberHint is for a number where a duration belongs.
func numberHint(n string) string {
	return fmt.Sprintf("a number needs a unit: %q for milliseconds, %q for seconds", n+"ms", n+"s")
}

// plainDuration is how people write a duration: "2m", not "2m0s".
func plainDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
