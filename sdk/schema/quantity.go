package schema

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// One way to write sizes and rates, for every plugin and for the engine, which checks
// them before anything runs. k, M, G and T are powers of 1000, Ki, Mi, Gi and Ti of 1024,
// and upper and lower case mean the same.

var quantity = regexp.MustCompile(`^\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z%/]*)\s*$`)

var sizeUnits = map[string]float64{
	"b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

var bitUnits = map[string]float64{"bit": 1, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9, "tbit": 1e12}

// mostOfAnything keeps a number of bytes, or of bits a second, far inside 64 bits.
const mostOfAnything = math.MaxInt64 / 16

// ParseSize reads a number of bytes, such as "64MiB" or "1.5GB". The error says what to
// write.
func ParseSize(text string) (int64, error) {
	n, unit, err := number(text, `write a number and a unit, such as "64MiB" or "500MB"`)
	if err != nil {
		return 0, err
	}
	if unit == "" && n == 0 {
		return 0, nil
	}
	factor, ok := sizeUnits[unit]
	if !ok {
		return 0, sizeHint(text, n, unit)
	}
	if n*factor > mostOfAnything {
		return 0, fmt.Errorf("%q is more than any machine has", text)
	}
	return int64(n * factor), nil
}

func sizeHint(text string, n float64, unit string) error {
	short := plain(n)
	switch {
	case unit == "":
		return fmt.Errorf("%q has no unit: write %q, or %q for as many bytes", text, short+"MiB", short+"B")
	case unit == "%":
		return fmt.Errorf(`%q is a share, and there is nothing to take it of: write a size, such as "64MiB"`, text)
	case len(unit) <= 2 && strings.ContainsAny(unit[:1], "kmgt") && (len(unit) == 1 || unit[1] == 'i'):
		big := strings.ToUpper(unit[:1])
		if big == "K" {
			return fmt.Errorf("%q has no whole unit: write %q, of 1000 bytes, or %q, of 1024", text, short+"kB", short+"KiB")
		}
		return fmt.Errorf("%q has no whole unit: write %q, by powers of 1000, or %q, of 1024", text, short+big+"B", short+big+"iB")
	case bitUnits[strings.TrimSuffix(unit, "/s")] != 0 || strings.HasSuffix(unit, "/s"):
		return fmt.Errorf(`%q is a rate, and a size is meant: write one such as "64MiB"`, text)
	}
	return fmt.Errorf("%q has a unit that is not known: use B, kB, MB, GB, TB, KiB, MiB, GiB or TiB", text)
}

// ParseRate reads a rate such as "10mbit" or "1MB/s" as bits a second. The error says what
// to write.
func ParseRate(text string) (float64, error) {
	n, unit, err := number(text, `write a number and a unit, such as "10mbit" or "1MB/s"`)
	if err != nil {
		return 0, err
	}
	if unit == "" && n == 0 {
		return 0, nil
	}
	short := plain(n)
	per := strings.TrimSuffix(unit, "/s")
	rate := n * bitUnits[per]
	if bytes, ok := sizeUnits[per]; ok {
		rate = n * bytes * 8
	} else if bitUnits[per] == 0 {
		word := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(per, "ps"), "it"), "b")
		switch {
		case unit == "":
			return 0, fmt.Errorf("%q has no unit: write %q for bits or %q for bytes", text, short+"mbit", short+"MB/s")
		case len(word) == 1 && strings.Contains("kmgt", word):
			return 0, fmt.Errorf("%q can mean bits or bytes: write %q for bits or %q for bytes", text, short+word+"bit", short+strings.ToUpper(word)+"B/s")
		}
		return 0, fmt.Errorf("%q has a unit that is not known: use bit, kbit, mbit, gbit or tbit, or bytes such as kB/s, MB/s or MiB/s", text)
	}
	if rate > mostOfAnything {
		return 0, fmt.Errorf("%q is more than any network carries", text)
	}
	return rate, nil
}

// ParseAmount reads a size, or a share of a whole such as "20%": then percent is set, and
// n is from 0 to 100.
func ParseAmount(text string) (n float64, percent bool, err error) {
	n, unit, err := number(text, `write a size such as "512MB" or "2GiB", or a share such as "10%"`)
	if err != nil {
		return 0, false, err
	}
	if unit == "%" {
		if n > 100 {
			return 0, false, fmt.Errorf(`%q is more than there is: a share is at most "100%%"`, text)
		}
		return n, true, nil
	}
	if unit == "" && n != 0 {
		return 0, false, fmt.Errorf("%q has no unit: write %q or %q, or %q for a share", text, plain(n)+"MB", plain(n)+"MiB", plain(math.Min(n, 100))+"%")
	}
	size, err := ParseSize(text)
	return float64(size), false, err
}

// number splits a number from its unit, which is in lower case.
func number(text, write string) (float64, string, error) {
	parts := quantity.FindStringSubmatch(text)
	if parts == nil {
		return 0, "", fmt.Errorf("%q is no number with a unit: %s", text, write)
	}
	n, err := strconv.ParseFloat(parts[1], 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, "", fmt.Errorf("%q is too large", text)
	}
	return n, strings.ToLower(parts[2]), err
}

func plain(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// FormatSize writes a number of bytes in the largest unit that leaves it whole.
func FormatSize(n float64) string {
	return largest(n, []string{"TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "kB"}, sizeUnits, "B")
}

// FormatRate writes bits a second in the largest unit that leaves them whole.
func FormatRate(n float64) string {
	return largest(n, []string{"tbit", "gbit", "mbit", "kbit"}, bitUnits, "bit")
}

func largest(n float64, units []string, factors map[string]float64, small string) string {
	for _, u := range units {
		if f := factors[strings.ToLower(u)]; n >= f && math.Mod(n, f) == 0 {
			return plain(n/f) + u
		}
	}
	return plain(n) + small
}
