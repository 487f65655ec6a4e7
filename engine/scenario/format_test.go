package scenario

import (
	"strings"
	"testing"
)

func TestFormat(t *testing.T) {
	in := "scenario \"x\" {\ntitle=\"a\"\n    environment = \"b\" # why\n}"
	out, d := Format("x.hcl", []byte(in))
	if d.HasErrors() {
		t.Fatal(d)
	}
	want := "scenario \"x\" {\n  title       = \"a\"\n  environment = \"b\" # why\n}\n"
	if string(out) != want {
		t.Errorf("got:\n%s", out)
	}
	if again, _ := Format("x.hcl", out); string(again) != want {
		t.Errorf("formatted again:\n%s", again)
	}
	if empty, _ := Format("x.hcl", nil); len(empty) != 0 {
		t.Errorf("an empty file became %q", empty)
	}
	broken := "scenario \"x\" {\n  title = \n}\n"
	out, d = Format("x.hcl", []byte(broken))
	if !d.HasErrors() || string(out) != broken || !strings.HasPrefix(d.Error(), "x.hcl:2:") {
		t.Errorf("broken file: %v\n%s", d, out)
	}
}

// TestStarter checks that what `faultline new` writes is formatted, loads without a
// warning, and takes enough samples for each objective to conclude.
func TestStarter(t *testing.T) {
	text := Starter("my shop")
	if out, d := Format("starter.hcl", text); d.HasErrors() || string(out) != string(text) {
		t.Errorf("the starter is not formatted: %v", d)
	}
	s, d := loadText(string(text), Options{})
	if errors, warnings := d.Counts(); errors+warnings > 0 {
		t.Fatal(d.All())
	}
	if s.Name != "my-shop" {
		t.Errorf("name %q", s.Name)
	}
	x := s.Experiments[0]
	for _, o := range x.Objectives {
		// A share of 99 % needs 299 samples without a bad one; n = ln 0.05 / ln target.
		if n := int(x.Observe / o.Probe.Interval); n < 600 || o.Target > 0.99 {
			t.Errorf("objective %s: %d samples for a target of %v", o.Name, n, o.Target)
		}
	}
	if kill := x.Steps[0]; kill.Type != "process_kill" || !strings.Contains(string(kill.Config.Full), `"restart":{"command":[`) {
		t.Errorf("fault %+v: %s", kill, kill.Config.Full)
	}
	if other, _ := loadText(string(Starter("!!")), Options{}); other == nil || other.Name != "first" {
		t.Error("a name that is none")
	}
}
