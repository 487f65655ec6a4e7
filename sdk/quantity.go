package sdk

import (
	"strconv"

	"github.com/faultline-go/faultline/sdk/schema"
)

// Size is a number of bytes, which a scenario writes with its unit: "64MiB", "1.5GB".
type Size int64

// UnmarshalText reads a size as a scenario writes it.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := schema.ParseSize(string(text))
	*s = Size(n)
	return err
}

// MarshalText is the size without loss.
func (s Size) MarshalText() ([]byte, error) { return []byte(schema.FormatSize(float64(s))), nil }

func (s Size) String() string { return schema.FormatSize(float64(s)) }

// Rate is a number of bits a second, which a scenario writes with its unit, in bits or in
// bytes: "10mbit", "1MB/s".
type Rate float64

// BytesPerSecond is the rate in bytes.
func (r Rate) BytesPerSecond() float64 { return float64(r) / 8 }

// UnmarshalText reads a rate as a scenario writes it.
func (r *Rate) UnmarshalText(text []byte) error {
	n, err := schema.ParseRate(string(text))
	*r = Rate(n)
	return err
}

// MarshalText is the rate without loss.
func (r Rate) MarshalText() ([]byte, error) { return []byte(schema.FormatRate(float64(r))), nil }

func (r Rate) String() string { return schema.FormatRate(float64(r)) }

// Amount is a size, or a share of a whole that is known later: "512MB", "20%".
type Amount struct {
	Bytes   int64   // when it is no share
	Percent float64 // from 0 to 100, when IsShare
	IsShare bool
}

// Of is the amount in bytes.
func (a Amount) Of(whole int64) int64 {
	if a.IsShare {
		return int64(a.Percent / 100 * float64(whole))
	}
	return a.Bytes
}

// UnmarshalText reads an amount as a scenario writes it.
func (a *Amount) UnmarshalText(text []byte) error {
	n, share, err := schema.ParseAmount(string(text))
	*a = Amount{IsShare: share}
	if share {
		a.Percent = n
	} else {
		a.Bytes = int64(n)
	}
	return err
}

// MarshalText is the amount without loss.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

func (a Amount) String() string {
	if a.IsShare {
		return strconv.FormatFloat(a.Percent, 'f', -1, 64) + "%"
	}
	return schema.FormatSize(float64(a.Bytes))
}
