package dockertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	ctyyaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
)

// dockerShop is the folder of the system that StartShop starts.
var dockerShop = filepath.Join("..", "..", "..", "scenarios", "docker-shop")

// What tests break is what users are shown: the services that StartShop starts
// are those of the compose file, with the same commands and labels.
func TestShopIsTheOneOfTheComposeFile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(dockerShop, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	shape, err := ctyyaml.Standard.ImpliedType(text)
	if err != nil {
		t.Fatal(err)
	}
	compose, err := ctyyaml.Standard.Unmarshal(text, shape)
	if err != nil {
		t.Fatal(err)
	}
	described := compose.GetAttr("services").AsValueMap()
	if len(described) != len(shopServices()) {
		t.Errorf("the compose file has %d services, the test's shop %d", len(described), len(shopServices()))
	}
	for _, s := range shopServices() {
		d, ok := described[s.name]
		if !ok {
			t.Errorf("the compose file has no service %s", s.name)
			continue
		}
		command := words(d.GetAttr("command"))
		if s.publish != "" {
			last := len(command) - 1
			if !strings.HasPrefix(command[last], "-retry=") {
				t.Errorf("%s: the last argument is %q, want the retry switch", s.name, command[last])
			}
			command = command[:last] // StartShop's caller chooses
			if ports := words(d.GetAttr("ports")); len(ports) != 1 || !strings.HasPrefix(ports[0], "127.0.0.1:") || !strings.HasSuffix(ports[0], ":"+s.publish) {
				t.Errorf("%s publishes %q, want port %s on loopback", s.name, ports, s.publish)
			}
		}
		if got, want := strings.Join(command, " "), strings.Join(s.args, " "); got != want {
			t.Errorf("%s: the compose file runs\n\t%s\nStartShop\n\t%s", s.name, got, want)
		}
		got := d.GetAttr("labels").AsValueMap()
		if len(got) != len(s.labels)+1 || got["shop"].AsString() != compose.GetAttr("name").AsString() {
			t.Errorf("%s: labels %v, want %v and the shop's name", s.name, got, s.labels)
		}
		for name, value := range s.labels {
			if label, ok := got[name]; !ok || label.AsString() != value {
				t.Errorf("%s: label %s is missing or not %q", s.name, name, value)
			}
		}
		if s.redis != strings.HasPrefix(d.GetAttr("image").AsString(), "redis:") {
			t.Errorf("%s: image %s", s.name, d.GetAttr("image").AsString())
		}
		if d.GetAttr("restart").AsString() != "unless-stopped" {
			t.Errorf("%s: restart policy %s", s.name, d.GetAttr("restart").AsString())
		}
	}
}

// words returns a list of strings.
func words(list cty.Value) []string {
	var all []string
	for _, v := range list.AsValueSlice() {
		all = append(all, v.AsString())
	}
	return all
}

// The engine's tests load and run the scenario; here only what it and Shop owe
// each other: a value for every variable, and no others.
func TestShopVariablesMatchTheScenario(t *testing.T) {
	file, problems := hclparse.NewParser().ParseHCLFile(filepath.Join(dockerShop, "docker-shop.hcl"))
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	given := (&Shop{Name: "n", GatewayURL: "http://127.0.0.1:1"}).Variables()
	for _, block := range file.Body.(*hclsyntax.Body).Blocks {
		if block.Type != "variable" {
			continue
		}
		if given[block.Labels[0]] == "" {
			t.Errorf("variable %s has no value", block.Labels[0])
		}
		delete(given, block.Labels[0])
	}
	if len(given) > 0 {
		t.Errorf("not declared by the scenario: %v", given)
	}
}
