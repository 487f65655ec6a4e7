package sdk

import "github.com/faultline-go/faultline/sdk/schema"

// Good is a sample of a right answer.
func Good() Sample { return Sample{Status: schema.OK} }

// Bad is a sample of a wrong answer, or of none in time. why is short and the same
// for the same cause: it is counted, not listed.
func Bad(why string) Sample { return Sample{Status: schema.Failed, Error: why} }

// Missing is a sample of which nothing can be said: no data is not good data.
func Missing(why string) Sample { return Sample{Status: schema.Missing, Error: why} }

// WithValue adds the measured value.
func (s Sample) WithValue(v float64) Sample {
	s.Value = &v
	return s
}

// With adds a field that the probe's Sample declares: a string, float64, int or bool.
func (s Sample) With(name string, v any) Sample {
	extra := make(map[string]any, len(s.Extra)+1)
	for k, x := range s.Extra {
		extra[k] = x
	}
	extra[name] = v
	s.Extra = extra
	return s
}
