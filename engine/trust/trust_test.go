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

func TestDecide(t *testing.T) {
	built := map[string]string{"docker": ours}
	lock := map[string][]string{"lamp": {other, theirs}}
	for name, c := range map[string]struct {
		rules Rules
		of    Binary
		want  Basis
		says  []string // of a refusal
	}{
		"our own":                   {Rules{BuiltIn: built}, Binary{"docker", "/bin/faultline-plugin-docker", ours}, BuiltIn, nil},
		"our own, anywhere":         {Rules{BuiltIn: built}, Binary{"docker", "/tmp/faultline-plugin-docker", ours}, BuiltIn, nil},
		"our own under another":     {Rules{BuiltIn: built}, Binary{"dokcer", "/x/faultline-plugin-dokcer", ours}, "", []string{"was not built with this faultline", "faultline init"}},
		"of another build":          {Rules{BuiltIn: built}, Binary{"docker", "/x/faultline-plugin-docker", other}, "", []string{"/x/faultline-plugin-docker", other, "has SHA-256 " + ours, "one build"}},
		"locked, of any platform":   {Rules{BuiltIn: built, Locked: lock}, Binary{"lamp", "/x/faultline-plugin-lamp", theirs}, Locked, nil},
		"not what is locked":        {Rules{Locked: lock, LockFile: "day/.faultline.lock.hcl"}, Binary{"lamp", "/x/faultline-plugin-lamp", ours}, "", []string{"day/.faultline.lock.hcl has other checksums", "faultline init"}},
		"the lock has the name":     {Rules{BuiltIn: built, Locked: map[string][]string{"docker": {theirs}}}, Binary{"docker", "/x/faultline-plugin-docker", ours}, "", []string{"has other checksums"}},
		"an entry without sums":     {Rules{BuiltIn: built, Locked: map[string][]string{"docker": nil}}, Binary{"docker", "/x/faultline-plugin-docker", ours}, "", []string{"has other checksums"}},
		"overridden":                {Rules{Locked: lock, Overrides: map[string]string{"lamp": "/home/me/lamp/"}}, Binary{"lamp", "/home/me/lamp/faultline-plugin-lamp", ours}, Override, nil},
		"overridden, of elsewhere":  {Rules{BuiltIn: built, Overrides: map[string]string{"lamp": "/home/me/lamp"}}, Binary{"lamp", "/home/me/lamp/../faultline-plugin-lamp", ours}, "", []string{"not built with"}},
		"below an overridden":       {Rules{BuiltIn: built, Overrides: map[string]string{"lamp": "/home/me"}}, Binary{"lamp", "/home/me/lamp/faultline-plugin-lamp", ours}, "", []string{"not built with"}},
		"an empty override":         {Rules{BuiltIn: built, Overrides: map[string]string{"lamp": ""}}, Binary{"lamp", "./faultline-plugin-lamp", ours}, "", []string{"not built with"}},
		"another plugin's override": {Rules{BuiltIn: built, Overrides: map[string]string{"lamp": "/home/me"}}, Binary{"docker", "/home/me/faultline-plugin-docker", other}, "", []string{"one build"}},
		"insecure":                  {Rules{Insecure: true}, Binary{"lamp", "/x/faultline-plugin-lamp", other}, Insecure, nil},
		"insecure, and checked":     {Rules{BuiltIn: built, Insecure: true}, Binary{"docker", "/x/faultline-plugin-docker", ours}, BuiltIn, nil},
		"a build without sums":      {Rules{}, Binary{"docker", "/x/faultline-plugin-docker", ours}, "", []string{"without the checksums of its plugins", "make build"}},
		"no checksum":               {Rules{BuiltIn: built}, Binary{"lamp", "/x/faultline-plugin-lamp", ""}, "", []string{"nothing vouches"}},
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

func TestUncheckedIsLoud(t *testing.T) {
	x := Binary{"lamp", "/home/me/faultline-plugin-lamp", other}
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
