package sdk

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
)

type shade struct {
	Colour string  `hcl:"colour" doc:"Of the shade." enum:"red|green"`
	Gauge  float64 `hcl:"gauge,optional" default:"0.5" min:"0" max:"1"`
}

type connection struct {
	Address string `hcl:"address" sensitive:"true"`
}

// everything has a field of each kind that a configuration can have.
type everything struct {
	connection
	Name     string            `hcl:"name"`
	Mode     string            `hcl:"mode,optional" default:"slow" enum:"slow|fast"`
	Maybe    *string           `hcl:"maybe,optional"`
	Fallback *int              `hcl:"fallback,optional" default:"7"`
	On       bool              `hcl:"on,optional" default:"true"`
	Count    int               `hcl:"count,optional" default:"3" min:"1" max:"10"`
	Big      int64             `hcl:"big,optional"`
	Ratio    float64           `hcl:"ratio,optional"`
	Wait     time.Duration     `hcl:"wait,optional" doc:"How long." default:"300ms" min:"1ms" max:"1m"`
	Args     []string          `hcl:"args,optional" default:"[\"a\", \"b\"]"`
	Steps    []float64         `hcl:"steps,optional"`
	Labels   map[string]string `hcl:"labels,optional"`
	First    shade             `hcl:"first,block" doc:"The one."`
	Second   *shade            `hcl:"second,block"`
	Others   []shade           `hcl:"other,block"`
	hidden   int
}

func TestBodyOfEverything(t *testing.T) {
	b, err := bodyOf[everything]()
	if err != nil {
		t.Fatal(err)
	}
	number := func(x float64) *float64 { return &x }
	want := []schema.Attribute{
		{Name: "address", Type: "string", Required: true, Sensitive: true},
		{Name: "name", Type: "string", Required: true},
		{Name: "mode", Type: "string", Default: "slow", Enum: []string{"slow", "fast"}},
		{Name: "maybe", Type: "string"},
		{Name: "fallback", Type: "number", Default: 7.0, Whole: true},
		{Name: "on", Type: "bool", Default: true},
		{Name: "count", Type: "number", Default: 3.0, Min: number(1), Max: number(10), Whole: true},
		{Name: "big", Type: "number", Whole: true},
		{Name: "ratio", Type: "number"},
		{Name: "wait", Type: "duration", Doc: "How long.", Default: "300ms", Min: number(0.001), Max: number(60)},
		{Name: "args", Type: "list(string)", Default: []any{"a", "b"}},
		{Name: "steps", Type: "list(number)"},
		{Name: "labels", Type: "map(string)"},
	}
	for i, a := range b.Attributes {
		if i >= len(want) || !reflect.DeepEqual(a, want[i]) {
			t.Errorf("attribute %d: %+v", i, a)
		}
	}
	if len(b.Attributes) != len(want) {
		t.Errorf("%d attributes, want %d", len(b.Attributes), len(want))
	}
	shadeBody := schema.Body{Attributes: []schema.Attribute{
		{Name: "colour", Type: "string", Doc: "Of the shade.", Required: true, Enum: []string{"red", "green"}},
		{Name: "gauge", Type: "number", Default: 0.5, Min: number(0), Max: number(1)},
	}}
	blocks := []schema.Block{
		{Name: "first", Doc: "The one.", Body: shadeBody, Min: 1, Max: 1},
		{Name: "second", Body: shadeBody, Max: 1},
		{Name: "other", Body: shadeBody},
	}
	if !reflect.DeepEqual(b.Blocks, blocks) {
		t.Errorf("blocks %+v", b.Blocks)
	}
}

func TestDecodeDefaults(t *testing.T) {
	c, err := decode[everything]([]byte(`{"address": "x", "name": "n", "maybe": null, "first": {"colour": "red"}}`))
	if err != nil {
		t.Fatal(err)
	}
	seven := 7
	want := everything{
		connection: connection{Address: "x"}, Name: "n", Mode: "slow", Fallback: &seven, On: true, Count: 3,
		Wait: 300 * time.Millisecond, Args: []string{"a", "b"}, First: shade{"red", 0.5},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("decoded %+v", c)
	}
}

func TestDecodeEverything(t *testing.T) {
	c, err := decode[everything]([]byte(`{"address": "x", "name": "n", "mode": "fast", "maybe": "", "fallback": 0, "on": false,
		"count": 10, "big": 9007199254740993, "ratio": 0.25, "wait": "1m", "args": [], "steps": [1, 2.5],
		"labels": {"a.b/c": "d"}, "first": {"colour": "red", "gauge": 1}, "second": {"colour": "green", "gauge": 0},
		"other": [{"colour": "red"}, {"colour": "green", "gauge": 0.1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	empty, zero := "", 0
	want := everything{
		connection: connection{Address: "x"}, Name: "n", Mode: "fast", Maybe: &empty, Fallback: &zero, Count: 10,
		Big: 9007199254740993, Ratio: 0.25, Wait: time.Minute, Args: []string{}, Steps: []float64{1, 2.5},
		Labels: map[string]string{"a.b/c": "d"}, First: shade{"red", 1}, Second: &shade{"green", 0},
		Others: []shade{{"red", 0.5}, {"green", 0.1}},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("decoded %+v", c)
	}
	if c.hidden != 0 {
		t.Error("a field without a tag was touched")
	}
}

func TestDecodeErrors(t *testing.T) {
	const good = `"address": "x", "name": "n", "first": {"colour": "red"}`
	for config, want := range map[string]string{
		`[]`:                                        "decode configuration",
		`{`:                                         "decode configuration",
		``:                                          "address: is required, and missing",
		`null`:                                      "address: is required, and missing",
		`{"address": "x", "name": "n"}`:             "first: is required, and missing",
		`{"address": "x", "name": null}`:            "name: is required, and missing",
		`{` + good + `, "nmae": 1, "aaa": 2}`:       `unknown argument "aaa"`,
		`{` + good + `, "count": 0}`:                "count: 0 is below the minimum, 1",
		`{` + good + `, "count": 11}`:               "count: 11 is above the maximum, 10",
		`{` + good + `, "count": 1.5}`:              "count: ",
		`{` + good + `, "count": "3"}`:              "count: ",
		`{` + good + `, "wait": "0s"}`:              "wait: 0s is below the minimum, 1ms",
		`{` + good + `, "wait": "2m"}`:              "wait: 2m0s is above the maximum, 1m0s",
		`{` + good + `, "wait": "soon"}`:            "wait: ",
		`{` + good + `, "wait": 3}`:                 "wait: ",
		`{` + good + `, "mode": "medium"}`:          `mode: "medium" is none of slow, fast`,
		`{` + good + `, "labels": {"a": 1}}`:        `labels["a"]: is a number where a string belongs`,
		`{` + good + `, "second": {}}`:              "second.colour: is required, and missing",
		`{` + good + `, "second": []}`:              "second: ",
		`{` + good + `, "other": {}}`:               "other: ",
		`{` + good + `, "other": [{}]}`:             "other[0].colour: is required, and missing",
		`{` + good + `, "other": [{"gauge": "x"}]}`: "other[0].gauge: is a string where a number belongs",
		`{` + good + `, "other": [{"colour": "red", "x": 1}]}`: `other[0]: unknown argument "x"`,
	} {
		if _, err := decode[everything]([]byte(config)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", config, err, want)
		}
	}
}

func TestBodyOfRefuses(t *testing.T) {
	check := func(want string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	refused := func(_ schema.Body, err error) error { return err }
	check("is a int, not a struct", refused(bodyOf[int]()))
	check("field A: type complex128", refused(bodyOf[struct {
		A complex128 `hcl:"a"`
	}]()))
	check("type []complex64 cannot", refused(bodyOf[struct {
		A []complex64 `hcl:"a"`
	}]()))
	check("type map[int]string cannot", refused(bodyOf[struct {
		A map[int]string `hcl:"a"`
	}]()))
	check("type [][]string cannot", refused(bodyOf[struct {
		A [][]string `hcl:"a"`
	}]()))
	check(`default "x"`, refused(bodyOf[struct {
		A int `hcl:"a" default:"x"`
	}]()))
	check(`default: time: missing unit`, refused(bodyOf[struct {
		A time.Duration `hcl:"a" default:"1"`
	}]()))
	check("default: 5 is above the maximum, 4", refused(bodyOf[struct {
		A int `hcl:"a" default:"5" max:"4"`
	}]()))
	check(`default: "x" is none of y`, refused(bodyOf[struct {
		A string `hcl:"a" default:"x" enum:"y"`
	}]()))
	check("default: ", refused(bodyOf[struct {
		A []string `hcl:"a" default:"[1]"`
	}]()))
	check(`min "low"`, refused(bodyOf[struct {
		A int `hcl:"a" min:"low"`
	}]()))
	check("bounds are for numbers", refused(bodyOf[struct {
		A string `hcl:"a" max:"3"`
	}]()))
	check("enum is for strings", refused(bodyOf[struct {
		A int `hcl:"a" enum:"1|2"`
	}]()))
	check(`unknown word "optionl"`, refused(bodyOf[struct {
		A int `hcl:"a,optionl"`
	}]()))
	check(`"A-b" is no name`, refused(bodyOf[struct {
		A int `hcl:"A-b"`
	}]()))
	check("is not exported", refused(bodyOf[struct {
		a int `hcl:"a"`
	}]()))
	check(`the name "a" is taken`, refused(bodyOf[struct {
		A int `hcl:"a"`
		B int `hcl:"a"`
	}]()))
	check("is embedded by the pointer", refused(bodyOf[struct{ *Outer }]()))
	check("block a: is a int, not a struct", refused(bodyOf[struct {
		A []int `hcl:"a,block"`
	}]()))
	check("block a: field B: type", refused(bodyOf[struct {
		A struct {
			B any `hcl:"b"`
		} `hcl:"a,block"`
	}]()))
}

// Outer is exported because only such a type can be embedded by a pointer.
type Outer struct {
	A int `hcl:"a"`
}

// The description survives the way to the engine, and what decode makes of a
// configuration does not depend on it.
func TestBodySurvivesJSON(t *testing.T) {
	b, err := bodyOf[everything]()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	var back schema.Body
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(b, back) {
		t.Errorf("got %+v", back)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"address": "x", "name": "n", "first": {"colour": "red"}, "other": [{"colour": "green"}]}`))
	f.Add([]byte(`{"wait": "1h", "labels": {"a": null}, "args": null}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := decode[everything](raw)
		if err == nil && (c.Name == "" && !strings.Contains(string(raw), `"name"`) || c.Count < 1 || c.Count > 10) {
			t.Errorf("%s was accepted as %+v", raw, c)
		}
	})
}
