package journal

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
)

// Nearly all of a long journal are samples, and nearly all of the time in reading them
// goes into their columns. A line of samples that looks the way that encodeLine writes
// it is therefore taken apart here; of any other line nothing is said, and
// encoding/json decides. What is accepted means the same to both, which a fuzz test
// holds them to.

// longestInt is how many digits an integer may have without a look at its range.
const longestInt = 18

// fastSamples decodes a whole line of samples, up to the closing brace of its data; ok
// is false for whatever is not in the usual form. rest is what follows the data.
func fastSamples(line []byte) (h head, s *Samples, rest []byte, ok bool) {
	c := cursor{in: line, ok: true}
	if h = c.head(); !c.ok {
		return h, nil, nil, false
	}
	s = new(Samples)
	c.expect(`{"probe":`)
	s.Probe = c.string()
	c.expect(`,"start":`)
	c.time(&s.Start)
	c.expect(`,"offset_us":`)
	s.Offset = c.ints(0)
	c.expect(`,"status":`)
	s.Status = c.string()
	c.expect(`,"latency_us":`)
	s.Latency = c.ints(len(s.Offset))
	if c.take(`,"value":`) {
		s.Value = c.values(len(s.Offset))
	}
	if c.take(`,"good":`) {
		s.Good = make(map[string]string)
		c.object(func(key string) { s.Good[key] = c.string() })
	}
	if c.take(`,"errors":`) {
		s.Errors = make(map[string]int)
		c.object(func(key string) { s.Errors[key] = int(c.int()) })
	}
	c.expect(`}`)
	return h, s, c.in, c.ok
}

// samplesHead reads what a line of samples has before its data.
func samplesHead(line []byte) (head, bool) {
	c := cursor{in: line, ok: true}
	h := c.head()
	return h, c.ok
}

func (c *cursor) head() head {
	h := head{V: 1, Type: "samples"}
	c.expect(`{"v":1,"seq":`)
	h.Seq = c.int()
	c.expect(`,"t":`)
	c.time(&h.Time)
	c.expect(`,"epoch":`)
	h.Epoch = int(c.int())
	c.expect(`,"type":"samples","data":`)
	return h
}

// cursor reads JSON of a known shape. Once something else comes, ok is false for good.
type cursor struct {
	in []byte
	ok bool
}

func (c *cursor) take(text string) bool {
	if len(c.in) < len(text) || string(c.in[:len(text)]) != text {
		return false
	}
	c.in = c.in[len(text):]
	return true
}

func (c *cursor) expect(text string) { c.ok = c.take(text) && c.ok }

// string reads a string. One with an escape, or with more than ASCII, is left to
// encoding/json.
func (c *cursor) string() string {
	if !c.take(`"`) {
		c.ok = false
		return ""
	}
	for i, b := range c.in {
		switch {
		case b == '"':
			s := string(c.in[:i])
			c.in = c.in[i+1:]
			return s
		case b == '\\' || b >= 0x7f:
			return c.escaped(i)
		case b < 0x20:
			c.ok = false
			return ""
		}
	}
	c.ok = false
	return ""
}

// escaped reads the rest of a string whose first i bytes are plain; the opening quote
// has been taken.
func (c *cursor) escaped(i int) string {
	for ; i < len(c.in) && c.in[i] != '"'; i++ {
		if c.in[i] == '\\' {
			i++
		}
	}
	var s string
	if i >= len(c.in) || json.Unmarshal(append(append([]byte{'"'}, c.in[:i]...), '"'), &s) != nil {
		c.ok = false
		return ""
	}
	c.in = c.in[i+1:]
	return s
}

func (c *cursor) int() int64 {
	negative := c.take("-")
	var n int64
	i := 0
	for ; i < len(c.in) && i <= longestInt && c.in[i]-'0' <= 9; i++ {
		n = n*10 + int64(c.in[i]-'0')
	}
	// No number begins with a zero but zero itself, and none with none at all.
	if i == 0 || i > longestInt || i > 1 && c.in[0] == '0' {
		c.ok = false
		return 0
	}
	c.in = c.in[i:]
	if negative {
		return -n
	}
	return n
}

// ints reads an array of about so many integers.
func (c *cursor) ints(about int) []int64 {
	if !c.take("[") {
		c.ok = false
		return nil
	}
	if c.take("]") {
		return []int64{}
	}
	if about == 0 {
		end := bytes.IndexByte(c.in, ']')
		about = bytes.Count(c.in[:max(end, 0)], []byte{','}) + 1
	}
	out := make([]int64, 0, about)
	for c.ok {
		out = append(out, c.int())
		if c.take("]") {
			return out
		}
		c.expect(",")
	}
	return nil
}

func (c *cursor) time(t *time.Time) {
	if s := c.string(); c.ok {
		c.ok = t.UnmarshalText([]byte(s)) == nil
	}
}

// values reads an array of numbers or nulls.
func (c *cursor) values(about int) []*float64 {
	if !c.take("[") {
		c.ok = false
		return nil
	}
	if c.take("]") {
		return []*float64{}
	}
	numbers := make([]float64, 0, about) // pointed into: it must not grow
	out := make([]*float64, 0, about)
	for c.ok {
		if c.take("null") {
			out = append(out, nil)
		} else {
			if len(numbers) == cap(numbers) {
				numbers = make([]float64, 0, 64)
			}
			numbers = append(numbers, c.float())
			out = append(out, &numbers[len(numbers)-1])
		}
		if c.take("]") {
			return out
		}
		c.expect(",")
	}
	return nil
}

func (c *cursor) float() float64 {
	end := bytes.IndexAny(c.in, ",]")
	if end < 1 || c.in[0] != '-' && c.in[0]-'0' > 9 || !json.Valid(c.in[:end]) {
		c.ok = false
		return 0
	}
	// JSON allows spaces around a number; ParseFloat does not.
	v, err := strconv.ParseFloat(string(c.in[:end]), 64)
	c.ok = c.ok && err == nil
	c.in = c.in[end:]
	return v
}

// object reads an object; value must read the value of each of its members.
func (c *cursor) object(value func(key string)) {
	c.expect("{")
	if c.take("}") {
		return
	}
	for c.ok {
		key := c.string()
		c.expect(":")
		value(key)
		if c.take("}") {
			return
		}
		c.expect(",")
	}
}
