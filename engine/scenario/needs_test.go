package scenario

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/install/address"
	"github.com/faultline-go/faultline/sdk/schema"
)

const lampDay = `scenario "day" {}
variable "where" { type = string }
variable "which" { default = ">= 0.1" }

plugin "lamp" {
  source  = "plugins.example.com/acme/lamp"
  version = "~> 1.2"
  colour  = var.where
}
plugin "docker" {
  version = var.which
}
probe "http" "a" {
  url = var.where
}
target "docker_container" "web" {
  match {}
}
experiment "e" {
  steady_state = [steady_state.nothing]
  fault "lamp_off" "x" {
    target = target.docker_container.web
  }
  action "exec" "y" {
    command = ["true"]
  }
}
`

func TestNeeds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "day.hcl")
	if err := os.WriteFile(path, []byte(lampDay), 0o600); err != nil {
		t.Fatal(err)
	}
	got, diags := Needs(filepath.Dir(path))
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	want := []Need{
		{Name: "docker", Pos: path + ":10"},
		{Name: "exec", Pos: path + ":24"},
		{Name: "http", Pos: path + ":13"},
		{Name: "lamp", Source: address.Address{Host: "plugins.example.com", Namespace: "acme", Name: "lamp"}, Constraint: "~> 1.2", Pos: path + ":5"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestNeedsWrong(t *testing.T) {
	for text, want := range map[string]string{
		`plugin "lamp" {`:                                        "day.hcl:1",
		`plugin "lamp" { source = "lamp" }`:                      "day.hcl:1:26: Invalid source",
		`plugin "lamp" { source = "acme/fan" }`:                  "day.hcl:1:26: Wrong source",
		"plugin \"lamp\" {}\nplugin \"lamp\" {}":                 "day.hcl:2:1: Duplicate plugin",
		"plugin \"lamp\" {\n source = \"a/lamp\"\n version=1 }":  "day.hcl:3",
		"plugin \"lamp\" {\n source = \"a/lamp\"\n version=1\n}": "day.hcl:3:10: Not a plain text",
	} {
		if got, diags := needs("day.hcl", []*source{{path: "day.hcl", text: []byte(text)}}); !diags.HasErrors() || !strings.Contains(diags.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", text, got, diags, want)
		}
	}
	if _, diags := Needs(filepath.Join(t.TempDir(), "none")); !diags.HasErrors() {
		t.Error("there is no scenario")
	}
}

// A plugin that was not installed is said to be that, once, and it is not asked what it
// offers.
func TestInstalled(t *testing.T) {
	text := strings.Replace(lampDay, "  colour  = var.where\n", "", 1)
	load := func(installed func(Need) error) string {
		_, diags := load("day.hcl", []*source{{path: "day.hcl", text: []byte(text)}}, Options{
			Vars: map[string]string{"where": "http://127.0.0.1:1"}, Installed: installed,
			Describe: func(name string) (*schema.Description, error) {
				if name == "lamp" {
					return nil, errors.New("it was asked")
				}
				return describe(name)
			},
		})
		return fmt.Sprint(diags.All())
	}
	var asked []Need
	got := load(func(n Need) error {
		asked = append(asked, n)
		return errors.New("plugin is not there: run `faultline init`")
	})
	if len(asked) != 1 || asked[0].Name != "lamp" || asked[0].Constraint != "~> 1.2" {
		t.Errorf("asked for %+v", asked)
	}
	if !strings.Contains(got, "The plugin is not there: run `faultline init`. day.hcl 6 13 ") || strings.Contains(got, "lamp_off") || strings.Contains(got, "it was asked") {
		t.Errorf("it says %s", got)
	}
	if got := load(func(Need) error { return nil }); !strings.Contains(got, "it was asked") {
		t.Errorf("it says %s", got)
	}
}
