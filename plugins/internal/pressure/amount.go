package pressure

import (
	"strconv"

	"github.com/faultline-go/faultline/sdk"
)

// Amount is a number of bytes, or a share of a whole that is known later.
type Amount struct {
	Bytes int64
	Share float64 // of the whole; used when Percent
	// Percent says that the amount is a share.
	Percent bool
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

// amountOf takes over what a scenario says; nil stays nil.
func amountOf(a *sdk.Amount) *Amount {
	switch {
	case a == nil:
		return nil
	case a.IsShare:
		return &Amount{Share: a.Percent / 100, Percent: true}
	}
	return &Amount{Bytes: a.Bytes}
}

// size writes bytes as people read them.
func size(n int64) string {
	for _, unit := range []struct {
		name  string
		bytes float64
	}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if float64(n) >= unit.bytes {
			return strconv.FormatFloat(float64(n)/unit.bytes, 'f', 1, 64) + " " + unit.name
		}
	}
	return strconv.FormatInt(n, 10) + " B"
}
