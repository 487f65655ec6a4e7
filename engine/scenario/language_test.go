package scenario

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/sdk/schema"
)

// every has each block of the language with what it needs, and a comment where more
// arguments can stand. An argument that is needed stands in a line of its own.
const every = `
scenario "every" {
  //scenario
}
variable "v" {
  default = "x"
  //variable
  validation {
    //variable/validation
    condition = var.v != ""
    error_message = "It is empty."
  }
}
locals {
  l = 1
  //locals
}
plugin "docker" {
  //plugin
}
probe "http" "p" {
  //probe
  url = "http://x"
}
steady_state "s" {
  //steady_state
  objective "o" {
    //steady_state/objective
    probe = probe.http.p
    good = sample.ok
    target = 0.99
    during {
      //steady_state/objective/during
      target = 0.95
    }
  }
}
target "docker_container" "t" {
  //target
  match {
    //target/match
    name = "t"
  }
  filter {
    //target/filter
    condition = candidate.state == "running"
  }
  pick {
    //target/pick
  }
}
experiment "first" {
  steady_state = [steady_state.s]
  fault "docker_kill" "k" {
    target   = target.docker_container.t
    duration = "1s"
  }
}
experiment "x" {
  //experiment
  steady_state = [steady_state.s]
  fault "docker_kill" "k" {
    target = target.docker_container.t
    duration = "20s"
  }
  fault "docker_pause" "f" {
    //experiment/fault
    target = target.docker_container.t
    duration = "20s"
  }
  action "exec" "a" {
    //experiment/action
    command = ["true"]
  }
  prompt "q" {
    //experiment/prompt
    question = "Well?"
  }
  chance {
    //experiment/chance
  }
}
guard "g" {
  //guard
  probe = probe.http.p
  good = sample.ok
}
limits {
  //limits
  window {
    //limits/window
  }
}
`

// beside are arguments that another one needs to make sense.
var beside = map[string]string{
	"target/pick:group_by": "groups = 1",
	"target/pick:groups":   "group_by = \"name\"",
}

// with is the scenario with another value of one argument; empty: without it.
func with(path, name, value string) string {
	head, rest, ok := strings.Cut(every, "//"+path+"\n")
	if !ok {
		panic("the scenario has no place for " + path)
	}
	// Up to the next nested block or the end of this one, a line of the name is taken out.
	lines := strings.SplitAfter(rest, "\n")
	for i, l := range lines {
		word := strings.TrimSpace(l)
		if strings.HasPrefix(word, name+" = ") {
			lines = slices.Delete(lines, i, i+1)
			break
		}
		if word == "}" || strings.HasSuffix(word, "{") {
			break
		}
	}
	if value != "" {
		value = name + " = " + value + "\n" + beside[path+":"+name] + "\n"
	}
	return head + "//" + path + "\n" + value + strings.Join(lines, "")
}

func eachArgument(blocks []BlockType, prefix string, do func(path string, b BlockType, a Argument)) {
	for _, b := range blocks {
		for _, a := range b.Arguments {
			do(prefix+b.Name, b, a)
		}
		eachArgument(b.Blocks, prefix+b.Name+"/", do)
	}
}

// What the tables say of an argument is what the loader does.
func TestLanguageIsWhatIsLoaded(t *testing.T) {
	plain, d := loadText(every, Options{Catalog: catalog})
	if d.HasErrors() {
		t.Fatal(d)
	}
	same := func(s *Scenario) string {
		s.Files = nil
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder // places move by the line that is added
		for _, word := range strings.Split(string(text), `"`) {
			if !strings.HasPrefix(word, "test.hcl:") {
				out.WriteString(word)
			}
		}
		return out.String()
	}
	want := same(plain)
	eachArgument(Language(), "", func(path string, _ BlockType, a Argument) {
		t.Run(strings.ReplaceAll(path, "/", ".")+"."+a.Name, func(t *testing.T) {
			load := func(value string) (*Scenario, *Diagnostics) {
				return loadText(with(path, a.Name, value), Options{Catalog: catalog})
			}
			refused := func(value string) {
				t.Helper()
				_, d := load(value)
				for _, x := range d.list {
					if x.Subject != nil && strings.Contains(value, strings.Trim(d.sources["test.hcl"].textOf(*x.Subject), `"`)) {
						return
					}
				}
				t.Errorf("%s = %s is not refused where it stands: %v", a.Name, value, d.All())
			}
			if _, d := load(""); d.HasErrors() != a.Required {
				t.Errorf("required is %t, and without it there are errors: %t: %v", a.Required, d.HasErrors(), d.All())
			}
			if a.Default != nil && a.Type != "type" {
				s, d := load(literal(a.Default))
				if d.HasErrors() {
					t.Fatalf("the default is refused: %v", d)
				}
				if got := same(s); got != want {
					t.Errorf("with its default %s the scenario is another:\n%s\n%s", literal(a.Default), got, want)
				}
			}
			for _, v := range a.Enum {
				value := fmt.Sprintf("%q", v)
				if strings.HasPrefix(a.Type, "list") {
					value = "[" + value + "]"
				}
				if _, d := load(value); d.HasErrors() {
					t.Errorf("the value %s is refused: %v", v, d)
				}
			}
			if len(a.Enum) > 0 {
				if strings.HasPrefix(a.Type, "list") {
					refused(`["nonsense"]`)
				} else {
					refused(`"nonsense"`)
				}
			}
			number := func(f float64) string {
				if a.Type == "duration" {
					return fmt.Sprintf("\"%gs\"", f)
				}
				return shortNumber(f)
			}
			least, most := a.Bounds()
			if least != nil {
				refused(number(*least - 0.5))
			}
			if most != nil {
				refused(number(*most + 1))
			}
			if a.Whole {
				refused("1.5")
			}
			switch a.Type {
			case "string", "bool":
				refused(`["x"]`)
			case "number":
				refused(`"x"`)
			case "duration":
				refused("77")
			case "list(string)":
				refused("{}")
			case "reference":
				refused(`"x"`)
			case "list(reference)":
				refused(`["x"]`)
			case "condition":
				refused("nonsense")
			case "type":
				refused("nonsense")
			case "any":
			default:
				t.Errorf("a type %q that this test does not know", a.Type)
			}
			if a.Doc == "" {
				t.Error("says nothing")
			}
			for _, root := range a.References {
				if !slices.Contains(referenceRoots, root) {
					t.Errorf("may name a %s, of which there is no reference", root)
				}
			}
		})
	})
}

// The arguments of the engine in a plugin's block are those that plugins may not take.
func TestLanguageKeepsItsArguments(t *testing.T) {
	for path, meta := range map[string][]string{
		"experiment/fault": schema.FaultMeta, "experiment/action": schema.ActionMeta, "probe": schema.ProbeMeta, "plugin": schema.PluginMeta,
	} {
		got, want := slices.Sorted(slices.Values(known[path].arguments)), slices.Sorted(slices.Values(meta))
		if !slices.Equal(got, want) {
			t.Errorf("%s has %q, and plugins leave it %q", path, got, want)
		}
	}
}

func TestFunctionsAreDescribed(t *testing.T) {
	all := Functions()
	if len(all) != len(functions()) {
		t.Errorf("%d of %d functions are described", len(all), len(functions()))
	}
	for _, f := range all {
		if f.Doc == "" || f.Signature == "" || functions()[f.Name].Params() == nil && f.Params == nil && !strings.Contains(f.Signature, "…") && f.Name != "range" {
			t.Errorf("%+v", f)
		}
	}
}
