package scenario

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const refused = `
probe "rich" "a" {
  address = "db"
  ports   = [80, (443)]
  counts  = { "x" = 1, y = 2 }
  listener "one" {
    listen = ":1"
    tags   = { app = "web" }
  }
  listener "two" {
    listen = ":2"
  }
  step {
    deep { words = ["up"] }
  }
  step {
    wait = "1s"
    deep {
      words = ["up", "down"]
    }
  }
}
probe "rich" "each" {
  for_each = toset(["b", "a"])
  address  = each.key
  size     = "1MiB"
}
`

func TestRefuse(t *testing.T) {
	s := mustLoad(t, prelude+refused, Options{})
	config := func(name string) Config {
		i := slices.IndexFunc(s.Probes, func(p *Probe) bool { return p.Name == name })
		if i < 0 {
			t.Fatalf("no probe %s in %v", name, s.Probes)
		}
		return s.Probes[i].Config
	}
	for path, want := range map[string]string{
		"":                         `probe "rich" "a"`,
		"address":                  `"db"`,
		"ports":                    `[80, (443)]`,
		"ports[0]":                 `80`,
		"ports[1]":                 `443`,
		"ports[7]":                 `[80, (443)]`,
		`counts["x"]`:              `1`,
		"counts.y":                 `2`,
		`counts["z"]`:              `{ "x" = 1, y = 2 }`,
		`listener["two"]`:          `listener "two"`,
		`listener["two"].listen`:   `":2"`,
		`listener["one"].tags.app`: `"web"`,
		"step[1]":                  `step`,
		"step[1].wait":             `"1s"`,
		"step[1].deep.words[1]":    `"down"`,
		"step[0].wait":             `step`,
		"zone":                     `probe "rich" "a"`,
		"step[1].deep.words[x]":    `["up", "down"]`,
		"[":                        `probe "rich" "a"`,
	} {
		d := s.Refuse([]Refusal{{Plugin: "rich", Config: config("rich.a"), Path: path, Text: "no such thing."}})
		if len(d.list) != 1 {
			t.Errorf("%s: %d diagnostics", path, len(d.list))
			continue
		}
		got := s.loader.text(*d.list[0].Subject)
		if got != want && got != "("+want+")" {
			t.Errorf("%q stands at %q, want %q", path, got, want)
		}
		said := fmt.Sprintf(`The plugin "rich" refuses %s of a probe "rich": no such thing.`, path)
		if path == "" {
			said = `The plugin "rich" refuses a probe "rich": no such thing.`
		}
		if d.list[0].Detail != said {
			t.Errorf("%q is said as %q", path, d.list[0].Detail)
		}
	}
	// Of two instances of a block both are said, in order, and a second question begins anew.
	both := s.Refuse([]Refusal{{"rich", config(`rich.each["b"]`), "address", "b"}, {"rich", config(`rich.each["a"]`), "address", "a"}})
	var b strings.Builder
	if err := both.Write(&b, 0, false); err != nil || strings.Count(b.String(), "each.key\n") != 2 || !strings.Contains(b.String(), `(for each.key = "b"): b.`) {
		t.Errorf("%s, %v", b.String(), err)
	}
	if d := s.Refuse(nil); d.HasErrors() {
		t.Errorf("nothing refused: %v", d)
	}
}

// What is wrong with an experiment from a source is said at the input that made it so.
func TestRefuseOfASource(t *testing.T) {
	s := mustLoad(t, prelude+`
experiment "used" {
  source       = "catalog:signal"
  steady_state = [steady_state.checkout]
  inputs = {
    signal = "SIGTERM"
  }
}
`, Options{Catalog: catalog})
	x := s.Experiments[len(s.Experiments)-1]
	d := s.Refuse([]Refusal{{Plugin: "docker", Config: x.Steps[0].Config, Path: "signal", Text: "not that one"}})
	if all := d.All(); len(all) != 1 || all[0].File != "test.hcl" || s.loader.text(*d.list[0].Subject) != `"SIGTERM"` || !strings.Contains(all[0].Detail, "The input \"signal\" is used at") {
		t.Errorf("%+v", all)
	}
	if strings.Contains(d.Error(), "\n") {
		t.Errorf("%s", d.Error())
	}
}
