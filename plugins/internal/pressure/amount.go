package pressure

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// Amount is a number of bytes, or a share of a whole that is known later.
type Amount struct {
	Bytes int64
	Share float64 // of the whole; used when Percent
	// Percent says that the amount is a share.
	Percent bool
}

var amountForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?(%|[kKMGT]i?B|B|)$`)

// units are the factors of what an amount may be written in.
var units = map[string]float64{
	"B":  1,
	"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"kiB": 1 << 10, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}

// ParseAmount reads "512MB" (a million bytes each), "2GiB" (1024³ each), "10%" and "0".
func ParseAmount(text string) (Amount, error) {
	parts := amountForm.FindStringSubmatch(text)
	if parts == nil {
		return Amount{}, fmt.Errorf("%q is no size: write it as in \"512MB\", \"2GiB\" or \"10%%\"", text)
	}
	n, err := strconv.ParseFloat(parts[1], 64)
	if err != nil {
		return Amount{}, fmt.Errorf("size %q: %w", text, err)
	}
	switch unit := parts[2]; {
	case unit == "%" && n > 100:
		return Amount{}, fmt.Errorf("%q is more than there is", text)
	case unit == "%":
		return Amount{Share: n / 100, Percent: true}, nil
	case unit == "" && n != 0:
		return Amount{}, fmt.Errorf("size %q has no unit: write it as in \"512MB\", \"2GiB\" or \"10%%\"", text)
	case n*units[unit] > math.MaxInt64/2:
		return Amount{}, fmt.Errorf("size %q is more than any machine has", text)
	case unit == "":
		return Amount{}, nil
	default:
		return Amount{Bytes: int64(n * units[unit])}, nil
	}
}

// Bytes reads an amount that is no share.
func Bytes(text string) (int64, error) {
	a, err := ParseAmount(text)
	if err == nil && a.Percent {
		err = fmt.Errorf("%q is a share, and there is nothing to take it of: write a size, as in \"512MB\"", text)
	}
	return a.Bytes, err
}

// Of is the amount in bytes.
func (a Amount) Of(whole int64) int64 {
	if a.Percent {
		return int64(a.Share * float64(whole))
	}
	return a.Bytes
}

// Zero says whether the amount is none.
func (a Amount) Zero() bool { return a.Bytes == 0 && a.Share == 0 }

// size writes bytes as people read them.
func size(n int64) string {
	for _, unit := range []string{"TB", "GB", "MB", "kB"} {
		if f := units[unit]; float64(n) >= f {
			return strconv.FormatFloat(float64(n)/f, 'f', 1, 64) + " " + unit
		}
	}
	return strconv.FormatInt(n, 10) + " B"
}
