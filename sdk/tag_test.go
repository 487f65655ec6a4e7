package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// rich has what a schema can say beyond types and bounds.
type rich struct {
	Size   *Size                `hcl:"size,optional" exactly_one:"how much" min:"1KiB" max:"1GiB" example:"64MiB"`
	Share  *Amount              `hcl:"share,optional" exactly_one:"how much"`
	Rate   Rate                 `hcl:"rate,optional" default:"1MB/s" max:"1gbit"`
	Waits  []time.Duration      `hcl:"waits,optional" max:"1m" min_items:"1" max_items:"3"`
	Ports  []int                `hcl:"ports,optional" min:"1" max:"65535"`
	Flags  []bool               `hcl:"flags,optional"`
	Counts map[string]int       `hcl:"counts,optional" min:"0"`
	Level  float64              `hcl:"level,optional" unit:"percent"`
	Zone   string               `hcl:"zone,optional" pattern:"[a-z]+-[0-9]"`
	Cert   string               `hcl:"cert,optional" together:"tls"`
	Key    string               `hcl:"key,optional" together:"tls"`
	Old    string               `hcl:"old,optional" deprecated:"use zone"`
	Steps  []richStep           `hcl:"step,block" max_items:"2"`
	Named  map[string]richNamed `hcl:"named,block"`
}

type richStep struct {
	Wait time.Duration `hcl:"wait"`
	Deep *richNamed    `hcl:"deep,block"`
}

type richNamed struct {
	Listen string `hcl:"listen"`
}

func TestBodyOfRich(t *testing.T) {
	b, err := bodyOf[rich]()
	if err != nil {
		t.Fatal(err)
	}
	least, most := b.Attribute("size").Bounds()
	if *least != 1024 || *most != 1<<30 || b.Attribute("size").Example != "64MiB" {
		t.Errorf("size %+v", b.Attribute("size"))
	}
	if p := b.Attribute("ports"); p.Type != "list(number)" || !p.Whole {
		t.Errorf("ports %+v", p)
	}
	want := []schema.Rule{{Kind: schema.ExactlyOne, Of: []string{"size", "share"}}, {Kind: schema.Together, Of: []string{"cert", "key"}}}
	if !reflect.DeepEqual(b.Rules, want) {
		t.Errorf("rules %+v", b.Rules)
	}
	if k := b.Block("named"); k.Label != "NAME" || k.Max != 0 {
		t.Errorf("a map of blocks %+v", k)
	}
	if k := b.Block("step"); k.Max != 2 || k.Body.Block("deep") == nil {
		t.Errorf("a list of blocks %+v", k)
	}
	for name, typ := range map[string]string{"waits": "list(duration)", "flags": "list(bool)", "counts": "map(number)", "rate": "rate", "share": "amount"} {
		if got := b.Attribute(name).Type; got != typ {
			t.Errorf("%s is a %s, want %s", name, got, typ)
		}
	}
}

func TestDecodeRich(t *testing.T) {
	c, err := decode[rich]([]byte(`{"share": "20%", "waits": ["1s", "300ms"], "ports": [80], "flags": [true], "counts": {"a": 1},
		"zone": "eu-1", "step": [{"wait": "1s", "deep": {"listen": "x"}}], "named": {"a": {"listen": ":1"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := rich{
		Share: &Amount{Percent: 20, IsShare: true}, Rate: 8e6, Waits: []time.Duration{time.Second, 300 * time.Millisecond},
		Ports: []int{80}, Flags: []bool{true}, Counts: map[string]int{"a": 1}, Zone: "eu-1",
		Steps: []richStep{{Wait: time.Second, Deep: &richNamed{"x"}}}, Named: map[string]richNamed{"a": {":1"}},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("decoded %+v", c)
	}
	// What a plugin keeps in an undo record comes back the same.
	raw, err := json.Marshal(c.Share)
	var back Amount
	if err := errors.Join(err, json.Unmarshal(raw, &back)); err != nil || back != *c.Share {
		t.Errorf("%s came back as %+v, %v", raw, back, err)
	}
}

// Everything that is wrong is said at once, each with its path.
func TestDecodeSaysWhere(t *testing.T) {
	_, err := decode[rich]([]byte(`{"size": "2GiB", "share": "20%", "rate": "10mbps", "waits": ["1s", "2m", 3], "ports": [1, 70000, 1.5],
		"counts": {"a": -1}, "level": 101, "zone": "eu", "cert": "x", "step": [{"wait": "1s"}, {"wait": "soon", "deep": {}}],
		"named": {"a": {}}}`))
	var got []string
	for _, p := range problemsOf(err) {
		got = append(got, p.Path+" | "+p.Text)
	}
	want := []string{
		`size | 2GiB is above the maximum, 1GiB`,
		`rate | "10mbps" can mean bits or bytes: write "10mbit" for bits or "10MB/s" for bytes`,
		`waits[2] | is a number where a string belongs`,
		`ports[2] | is a number 1.5 where a whole number belongs`,
		`counts["a"] | -1 is below the minimum, 0`,
		`level | 101 is above the maximum, 100`,
		`zone | "eu" does not have the form [a-z]+-[0-9]`,
		`step[1].wait | time: invalid duration "soon"`,
		`step[1].deep.listen | is required, and missing`,
		`named["a"].listen | is required, and missing`,
		`share | only one of size, share can be given`,
		`cert | cert, key belong together, and not all are given`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for config, text := range map[string]string{
		`{}`:                           "one of size, share is required",
		`{"size": "1MB", "waits": []}`: "waits: has 0 items, and needs at least 1",
		`{"size": "1MB", "step": [{"wait": "1s"},{"wait": "1s"},{"wait": "1s"}]}`: "step: 3 are given, and at most 2",
	} {
		if _, err := decode[rich]([]byte(config)); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want %q", config, err, text)
		}
	}
}

// A tag that would be passed over is an error that names the field.
func TestTagsThatWouldBeLost(t *testing.T) {
	check := func(want string, _ schema.Body, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	type c = func() (schema.Body, error)
	for want, of := range map[string]c{
		`field A: there is no tag "defualt"`: bodyOf[struct {
			A string `hcl:"a,optional" defualt:"x"`
		}],
		`field A: there is no tag "default" for a block`: bodyOf[struct {
			A []richNamed `hcl:"a,block" default:"x"`
		}],
		`field A: it has the tag "doc", but no tag hcl`: bodyOf[struct {
			A string `doc:"x"`
		}],
		`field A: its hcl tag is empty`: bodyOf[struct {
			A string `hcl:""`
		}],
		`field A: sensitive "yes"`: bodyOf[struct {
			A string `hcl:"a" sensitive:"yes"`
		}],
		"a least value above": bodyOf[struct {
			A int `hcl:"a" min:"2" max:"1"`
		}],
		"a pattern that cannot be read": bodyOf[struct {
			A string `hcl:"a" pattern:"("`
		}],
		`the argument "a" has a pattern, which is for strings`: bodyOf[struct {
			A int `hcl:"a" pattern:"x"`
		}],
		`field A: min_items "2"`: bodyOf[struct {
			A string `hcl:"a" min_items:"2"`
		}],
		"field A: is required and deprecated": bodyOf[struct {
			A string `hcl:"a" deprecated:"use b"`
		}],
		"field A: example: 9 is above the maximum, 5": bodyOf[struct {
			A int `hcl:"a" max:"5" example:"9"`
		}],
		"field A: exactly_one is for arguments that can be left out": bodyOf[struct {
			A string `hcl:"a" exactly_one:"x"`
			B string `hcl:"b,optional" exactly_one:"x"`
		}],
		"argument a: no other field": bodyOf[struct {
			A string `hcl:"a,optional" at_most_one:"x"`
			B string `hcl:"b,optional" at_most_one:"y"`
		}],
		`field A: enum "a||b"`: bodyOf[struct {
			A string `hcl:"a" enum:"a||b"`
		}],
	} {
		b, err := of()
		check(want, b, err)
	}
	for _, tag := range []reflect.StructTag{`hcl: "a"`, `hcl:"a"doc:"x"`, `hcl:a`, `hcl`, `hcl:"a`} {
		if _, err := keysOf(tag); err == nil {
			t.Errorf("the tag %s was read", tag)
		}
	}
	if keys, err := keysOf(`hcl:"a" doc:"x: \"y\""  json:"z"`); err != nil || !reflect.DeepEqual(keys, []string{"hcl", "doc", "json"}) {
		t.Errorf("%q, %v", keys, err)
	}
}

func TestProblemsOf(t *testing.T) {
	bad := errors.New("bad")
	for _, c := range []struct {
		err  error
		want []wire.Problem
	}{
		{nil, nil},
		{bad, []wire.Problem{{Text: "bad"}}},
		{At("a", nil), nil},
		{At("a", bad), []wire.Problem{{Path: "a", Text: "bad"}}},
		{&AttributeError{Path: "a", Err: bad}, []wire.Problem{{Path: "a", Text: "bad"}}},
		{At("a", At("[1]", At("b", bad))), []wire.Problem{{Path: "a[1].b", Text: "bad"}}},
		{errors.Join(At("a", bad), nil, At("b", bad), bad), []wire.Problem{{Path: "a", Text: "bad"}, {Path: "b", Text: "bad"}, {Text: "bad"}}},
		{At("a", errors.Join(At("b", bad), At("c", bad))), []wire.Problem{{Path: "a.b", Text: "bad"}, {Path: "a.c", Text: "bad"}}},
		{fmt.Errorf("either %w or %w", bad, bad), []wire.Problem{{Text: "either bad or bad"}}},
		{fmt.Errorf("look: %w", bad), []wire.Problem{{Text: "look: bad"}}},
		{fmt.Errorf("look: %w", At("a", bad)), []wire.Problem{{Path: "a", Text: "bad"}}},
		{At("a", fmt.Errorf("look: %w", bad)), []wire.Problem{{Path: "a", Text: "look: bad"}}},
	} {
		if got := problemsOf(c.err); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: got %+v, want %+v", c.err, got, c.want)
		}
	}
}
