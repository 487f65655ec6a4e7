package live

import (
	"math"
	"testing"
	"time"
)

var noon = time.Unix(1_800_000_000, 0)

func TestCourse(t *testing.T) {
	var c course
	for i, good := range []bool{true, true, false} {
		b := c.at(noon.Add(time.Duration(i) * 100 * time.Millisecond))
		if good {
			b.good++
		} else {
			b.bad++
		}
	}
	c.at(noon.Add(2 * time.Second)).latencies = []float64{0.3, 0.1, 0.2}
	got := c.upTo(noon.Add(3500*time.Millisecond), 4)
	if got[0].good != 0 || got[1].good != 2 || got[1].bad != 1 || got[2].good != 0 || got[3].median() != 0.2 {
		t.Errorf("bins %+v", got)
	}
	if line := goodLine(got); line != " ▅  " {
		t.Errorf("good line %q", line)
	}
	if line, latest := latencyLine(got); line != "   █" || latest != 0.2 {
		t.Errorf("latency line %q, %g", line, latest)
	}
	if c.at(noon.Add(-time.Second)) != nil {
		t.Error("a second before the first has a bin")
	}
	// It forgets what no screen shows, and a gap costs nothing.
	c.at(noon.Add(longestCourse * time.Second)).good = 7
	if len(c.bins) != longestCourse || c.upTo(noon.Add((longestCourse+1)*time.Second), 1)[0].good != 7 {
		t.Errorf("%d bins", len(c.bins))
	}
	c.at(noon.Add(1000 * time.Hour)).good = 3
	if len(c.bins) != 1 {
		t.Errorf("%d bins after a gap", len(c.bins))
	}
}

func TestSparkline(t *testing.T) {
	nan := math.NaN()
	for _, x := range []struct {
		values []float64
		want   string
	}{
		{[]float64{0, 0.5, 0.999, 1}, "▁▄▇█"}, // what is not wholly good is never a full block
		{[]float64{nan, 2, -1}, " █▁"},
		{nil, ""},
	} {
		if got := sparkline(x.values, 0, 1); got != x.want {
			t.Errorf("%v: %q, want %q", x.values, got, x.want)
		}
	}
}
