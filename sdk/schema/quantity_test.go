package schema

import (
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1B": 1, "64MiB": 64 << 20, "64 mib": 64 << 20, "1.5GB": 1.5e9, "32kb": 32e3, "32KiB": 32 << 10, "2TiB": 2 << 40,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":          "write a number and a unit",
		"much":      "write a number and a unit",
		"-1MB":      "write a number and a unit",
		"64":        `write "64MiB", or "64B"`,
		"64M":       `write "64MB", by powers of 1000, or "64MiB"`,
		"64Mi":      `write "64MB"`,
		"64k":       `write "64kB"`,
		"20%":       "nothing to take it of",
		"10mbit":    "is a rate",
		"10MB/s":    "is a rate",
		"3apples":   "use B, kB, MB",
		"9999999TB": "more than any machine",
	} {
		if got, err := ParseSize(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %d, %v; want %q", text, got, err, want)
		}
	}
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]float64{
		"0": 0, "10mbit": 10e6, "10 Mbit/s": 10e6, "2.5gbit": 2.5e9, "1MB/s": 8e6, "64KiB": 64 << 13, "1B/s": 8,
	} {
		if got, err := ParseRate(text); err != nil || got != want {
			t.Errorf("%q is %g, %v; want %g", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"fast":   "write a number and a unit",
		"10":     `write "10mbit" for bits or "10MB/s" for bytes`,
		"10mbps": `"10mbit" for bits or "10MB/s" for bytes`,
		"10k":    `"10kbit" for bits or "10KB/s" for bytes`,
		"10mb/h": "use bit, kbit",
		"20%":    "use bit, kbit",
	} {
		if got, err := ParseRate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %g, %v; want %q", text, got, err, want)
		}
	}
}

func TestParseAmount(t *testing.T) {
	for text, want := range map[string]float64{"20%": 20, "0": 0, "512MB": 512e6} {
		got, percent, err := ParseAmount(text)
		if err != nil || got != want || percent != strings.HasSuffix(text, "%") {
			t.Errorf("%q is %g, %t, %v", text, got, percent, err)
		}
	}
	for text, want := range map[string]string{"120%": "at most", "50": `or "50%"`, "5X": "use B, kB"} {
		if _, _, err := ParseAmount(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What is written is read as the same.
func FuzzFormat(f *testing.F) {
	f.Add(int64(0))
	f.Add(int64(64 << 20))
	f.Add(int64(1500))
	f.Fuzz(func(t *testing.T, n int64) {
		if n = n & (1<<52 - 1); n < 0 {
			return
		}
		if got, err := ParseSize(FormatSize(float64(n))); err != nil || got != n {
			t.Errorf("%d is written %q and read as %d, %v", n, FormatSize(float64(n)), got, err)
		}
		if got, err := ParseRate(FormatRate(float64(n))); err != nil || got != float64(n) {
			t.Errorf("%d is written %q and read as %g, %v", n, FormatRate(float64(n)), got, err)
		}
	})
}
