package trust

import (
	"errors"
	"strings"
	"testing"
)

var (
	ours   = strings.Repeat("a", 64)
	theirs = strings.Repeat("b", 64)
	other  = strings.Repeat("c", 64)
)

func file(name, path, sum string) Binary { return Binary{Name: name, Path: path, Sum: sum} }

func TestDecide(t *testing.T) {
	built := map[string]string{"docker": ours}
	lock := map[string][]string{"lamp": {other, theirs}}
	for name, c := range map[string]struct {
		rules Rules
		of    Binary
		want  Basis
		says  []string // of a refusal
	}{
		"our own":                   {Rules{BuiltIn: built}, file("docker", "/bin/faultline-plugin-docker", ours), BuiltIn, nil},
		"our own, anywhere":         {Rules{BuiltIn: built}, file("docker", "/tmp/faultline-plugin-docker", ours), BuiltIn, nil},
		"our own under another":     {Rules{BuiltIn: built}, file("dokcer", "/x/faultline-plugin-dokcer", ours), "", []string{"was not built with this faultline", "faultline init"}},
		"of another build":          {Rules{BuiltIn: built}, file("docker", "/x/faultline-plugin-docker", other), "", []string{"/x/faultline-plugin-docker", other, "has SHA-256 " + ours, "one build"}},
		"locked, of any platform":   {Rules{BuiltIn: built, Locked: lock}, file("lamp", "/x/faultline-plugin-lamp", theirs), Locked, nil},
		"not what is locked":        {Rules{Locked: lock, LockFile: "day/.faultline.lock.hcl"}, file("lamp", "/x/faultline-plugin-lamp", ours), "", []string{"day/.faultline.lock.hcl has other checksums", "faultline init"}},
		"the lock has the name":     {Rules{BuiltIn: built, Locked: map[string][]string{"docker": {theirs}}}, file("docker", "/x/faultline-plugin-docker", ours), "", []string{"has other checksums"}},
		"an entry without sums":     {Rules{BuiltIn: built, Locked: map[string][]string{"docker": nil}}, file("docker", "/x/faultline-plugin-docker", ours), "", []string{"has other checksums"}},
		"overridden":                {Rules{Locked: lock, Overrides: map[string]string{"lamp": "/home/me/lamp/"}}, file("lamp", "/home/me/lamp/faultline-plugin-lamp", ours), Override, nil},
		"overridden, of elsewhere":  {Rules{BuiltIn: built, Overrides: map[string]string{"lamp": "/home/me/lamp"}}, file("lamp", "/home/me/lamp/../faultline-plugin-lamp", ours), "", []string{"not built with"}},
		"below an overridden":       {Rules{BuiltIn: built, Overrides: map[string]string{"lamp": "/home/me"}}, file("lamp", "/home/me/lamp/faultline-plugin-lamp", ours), "", []string{"not built with"}},
		"an empty override":         {Rules{BuiltIn: built, Overrides: map[string]string{"lamp": ""}}, file("lamp", "./faultline-plugin-lamp", ours), "", []string{"not built with"}},
		"another plugin's override": {Rules{BuiltIn: built, Overrides: map[string]string{"lamp": "/home/me"}}, file("docker", "/home/me/faultline-plugin-docker", other), "", []string{"one build"}},
		"insecure":                  {Rules{Insecure: true}, file("lamp", "/x/faultline-plugin-lamp", other), Insecure, nil},
		"insecure, and checked":     {Rules{BuiltIn: built, Insecure: true}, file("docker", "/x/faultline-plugin-docker", ours), BuiltIn, nil},
		"it runs already":           {Rules{Locked: lock}, Binary{Name: "lamp", Attached: true}, Attached, nil},
		"a build without sums":      {Rules{}, file("docker", "/x/faultline-plugin-docker", ours), "", []string{"without the checksums of its plugins", "make build"}},
		"no checksum":               {Rules{BuiltIn: built}, file("lamp", "/x/faultline-plugin-lamp", ""), "", []string{"nothing vouches"}},
	} {
		got, err := c.rules.Decide(c.of)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
		var refusal *Refusal
		if err != nil && !errors.As(err, &refusal) {
			t.Errorf("%s: a %T", name, err)
		}
		for _, want := range append(c.says, "-insecure", "dev_overrides") {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", name, err, want)
			}
		}
	}
}

func TestPolicy(t *testing.T) {
	strict := Policy{"production", "policy.d/production.hcl", []Basis{BuiltIn, Locked}}
	for _, on := range Bases() {
		if err := (Policy{}).Allow("lamp", on); err != nil {
			t.Errorf("%s, without a policy: %v", on, err)
		}
		err := strict.Allow("lamp", on)
		var forbidden *Forbidden
		if on.Checked() != (err == nil) || err != nil && !errors.As(err, &forbidden) {
			t.Errorf("%s: %v", on, err)
		}
		for _, want := range []string{"plugin lamp may not start in environment production", `"` + string(on) + `"`, "policy.d/production.hcl", `["builtin" "locked"]`} {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", on, err, want)
			}
		}
	}
	if err := (Policy{Grounds: []Basis{Override}}).Allow("docker", BuiltIn); err == nil {
		t.Error("what is built in is allowed although only overrides are")
	}
}

func TestUncheckedIsLoud(t *testing.T) {
	x := file("lamp", "/home/me/faultline-plugin-lamp", other)
	for basis, want := range map[Basis]string{BuiltIn: "", Locked: "", Override: "/home/me", Insecure: other} {
		if got := basis.Warning(x); (got == "") != (want == "") || !strings.Contains(got, want) || basis.Checked() != (want == "") {
			t.Errorf("%s: warning %q, checked %v", basis, got, basis.Checked())
		}
	}
}

func TestSums(t *testing.T) {
	text := FormatSums(map[string]string{"http": theirs, "docker": ours})
	if text != "docker:"+ours+",http:"+theirs {
		t.Errorf("formatted %s", text)
	}
	got, err := ParseSums(text)
	if err != nil || len(got) != 2 || got["docker"] != ours || got["http"] != theirs {
		t.Errorf("parsed %v, %v", got, err)
	}
	if got, err := ParseSums(""); err != nil || len(got) != 0 {
		t.Errorf("parsed nothing: %v, %v", got, err)
	}
	for _, bad := range []string{"docker", "docker:", ":" + ours, "docker:" + ours[1:], "docker:" + strings.ToUpper(ours), "docker " + ours} {
		if got, err := ParseSums(bad); err == nil {
			t.Errorf("parsed %q: %v", bad, got)
		}
	}
}
