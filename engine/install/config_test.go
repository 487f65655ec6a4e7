package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/install/address"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

const (
	keyA = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9UGhLnhMbZTODrwUaPNPj2SChhnjQAnBuV9H0xuvoB me"
	keyB = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDhG0KYgYKDvCtFSW2V3rYmB/4s1zd4qyvRBhOjH4VtE you"
)

func TestConfig(t *testing.T) {
	c, err := ParseConfig("/etc/f/config.hcl", []byte(`
dev_overrides {
  lamp = "/home/me/lamp/bin"
  fan  = "../fan/bin"
}
source "plugins.example.com" {
  url  = "https://mirror.example.com/faultline"
  keys = ["`+keyA+`", "`+keyB+`"]
}
source "plugins.example.com/acme" {
  mirror         = "usb"
  allow_unsigned = true
}
source "plugins.example.com/acme/lamp" {
  mirror = "/media/usb"
  keys   = ["`+keyB+`"]
}
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.DevOverrides["lamp"] != "/home/me/lamp/bin" || c.DevOverrides["fan"] != "/etc/fan/bin" {
		t.Errorf("overrides %v", c.DevOverrides)
	}
	for text, want := range map[string]string{
		"plugins.example.com/acme/lamp":  "/media/usb",
		"plugins.example.com/acme/lamp2": "/etc/f/usb",
		"plugins.example.com/acme2/lamp": "https://mirror.example.com/faultline/",
		"plugins.example.org/acme/lamp":  "",
		"acme/lamp":                      "",
	} {
		a, err := address.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if s := c.Source(a); s != nil {
			got = s.Place()
		}
		if got != want {
			t.Errorf("%s comes from %q, want %q", text, got, want)
		}
	}
	s := c.Sources[0]
	if len(s.Keys) != 2 || s.AllowUnsigned || s.Pos != "/etc/f/config.hcl:6" || !c.Sources[1].AllowUnsigned {
		t.Errorf("%+v", c.Sources)
	}
}

func TestConfigWrong(t *testing.T) {
	key := `keys = ["` + keyA + `"]`
	for text, want := range map[string]string{
		`source "x.example/a" {`:               "c.hcl:1:",
		`sauce "x.example/a" {}`:               `c.hcl:1:1: Unknown block: There is no block "sauce"`,
		`a = 1`:                                "c.hcl:1:1: Unknown argument",
		`dev_overrides = {}`:                   "c.hcl:1:1: Block written as an argument",
		`source {}`:                            "Wrong number of labels",
		`source "X" {}`:                        "c.hcl:1:8: Invalid source",
		`source "x.example" {}`:                "c.hcl:1:1: Missing argument: Say where the plugins are",
		`source "x.example" { mirror = "/m" }`: "Say whose signatures count",
		"source \"x.example\" {\n mirror = \"/m\"\n keys=[]\n}":                                    "Say whose signatures count",
		"source \"x.example\" {\n mirror = 1\n " + key + "\n}":                                     "c.hcl:2:11: Wrong type",
		"source \"x.example\" {\n mirror = \"~/m\"\n " + key + "\n}":                               "Write the path in full",
		"source \"x.example\" {\n mirror = \"/m\"\n url = \"https://h/\"\n" + key + "\n}":          "c.hcl:3:2: Two places",
		"source \"x.example\" {\n url = \"http://127.0.0.1/\"\n" + key + "\n}":                     "c.hcl:2:8: Not HTTPS",
		"source \"x.example\" {\n url = \"https://h/?a\"\n" + key + "\n}":                          "Invalid URL",
		"source \"x.example\" {\n url = \"mirror\"\n" + key + "\n}":                                "Invalid URL",
		"source \"x.example\" {\n mirror = \"/m\"\n keys = \"x\"\n}":                               "c.hcl:3:9: Wrong type",
		"source \"x.example\" {\n mirror = \"/m\"\n keys = [1]\n}":                                 "c.hcl:3:10: Wrong type",
		"source \"x.example\" {\n mirror = \"/m\"\n keys = [\"ssh-rsa AAAA\"]\n}":                  "c.hcl:3:10: Invalid key",
		"source \"x.example\" {\n mirror = \"/m\"\n keys = [\"" + keyA + "\",\"" + keyA + "\"]\n}": "Key twice",
		"source \"x.example\" {\n mirror = \"/m\"\n " + key + "\n allow_unsigned = true\n}":        "c.hcl:4:2: Keys and unsigned",
		"source \"x.example\" {\n mirror = \"/m\"\n allow_unsigned = \"yes\"\n}":                   "c.hcl:3:19: Wrong type",
		"source \"x.example\" {\n mirror = var.m\n allow_unsigned = true\n}":                       "Not a plain value",
		"source \"x.example\" {\n mirror = \"/m\"\n allow_unsigned = true\n insecure = true\n}":    "c.hcl:4:2: Unknown argument",
		"source \"x.example\" {\n mirror = \"/m\"\n allow_unsigned = true\n keys {}\n}":            "Unknown block",
		strings.Repeat("source \"x.example\" {\n mirror = \"/m\"\n allow_unsigned = true\n}\n", 2): "c.hcl:5:8: Second block: Another block is about x.example already, at c.hcl:1",
		"dev_overrides {}\ndev_overrides {}":                                                       "Second block",
		`dev_overrides "x" {}`:                                                                     "Label",
		`dev_overrides { Lamp = "/x" }`:                                                            "Invalid plugin name",
		"dev_overrides {\n x {}\n}":                                                                "Unknown block",
		`dev_overrides { lamp = null }`:                                                            "Wrong type",
		strings.Repeat("a = ", 2) + strings.Repeat("[", 100000):                                    "Nested too deeply",
	} {
		if c, err := ParseConfig("c.hcl", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n%+v, %v\nwant an error with %q", text[:min(len(text), 200)], c, err, want)
		}
	}
}

func TestReadConfig(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(home, ".config", "faultline", "config.hcl")
	read := func(named string) (*Config, error) {
		return ReadConfig(func(name string) string { return map[string]string{"HOME": home, configVariable: named}[name] })
	}
	wrong := func(what, named string, want ...string) {
		t.Helper()
		_, err := read(named)
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v; want %q", what, err, w)
			}
		}
	}
	if c, err := read(""); err != nil || c.Path != path || len(c.Sources) > 0 {
		t.Errorf("the usual one is not there: %+v, %v", c, err)
	}
	wrong("a named one that is not there", path, path, "$FAULTLINE_CLI_CONFIG", "is not there", "/dev/null")
	wrong("below what is no folder", filepath.Join(os.DevNull, "config.hcl"), "not a directory")
	if c, err := read(os.DevNull); err != nil || len(c.Sources) > 0 {
		t.Errorf("none: %+v, %v", c, err)
	}

	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("dev_overrides {\n lamp = \"bin\"\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, named := range []string{"", path} {
		if c, err := read(named); err != nil || c.DevOverrides["lamp"] != filepath.Join(filepath.Dir(path), "bin") {
			t.Errorf("%q: %+v, %v", named, c, err)
		}
	}
	for mode, ok := range map[os.FileMode]bool{0o644: true, 0o400: true, 0o620: false, 0o664: false, 0o602: false, 0o666: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := read(""); ok != (err == nil) {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	if err := os.Chmod(path, 0o620); err != nil {
		t.Fatal(err)
	}
	wrong("a group may change it", "", "says whom you trust", path+" can be changed by others than its owner (mode 0620); run: chmod go-w "+path)
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, maxDocument+1), 0o600); err != nil {
		t.Fatal(err)
	}
	wrong("a large one", "", "more than")
}

func TestTheConfigurationOfSomebodyElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.hcl")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	plugintest.Need(t, "root", func() error { return os.Chown(path, 65534, 0) })
	_, err := ReadConfig(func(string) string { return path })
	if err == nil || !strings.Contains(err.Error(), path+" belongs to user 65534: it has to be yours, or root's; run: chown 0 "+path) {
		t.Errorf("another user's: %v", err)
	}
}

func TestConfigPath(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"/x":                              {"FAULTLINE_CLI_CONFIG": "/x", "HOME": "/h", "XDG_CONFIG_HOME": "/c"},
		"/c/faultline/config.hcl":         {"HOME": "/h", "XDG_CONFIG_HOME": "/c"},
		"/h/.config/faultline/config.hcl": {"HOME": "/h", "XDG_CONFIG_HOME": "c"},
		"":                                {"HOME": "."},
	} {
		if got := ConfigPath(func(name string) string { return env[name] }); got != want {
			t.Errorf("%v: %q, want %q", env, got, want)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("dev_overrides { a = \"/b\" }\nsource \"x.example\" {\n mirror = \"/m\"\n keys = [\"" + keyA + "\"]\n}"))
	f.Add([]byte("source \"a\" {\n url = \"https://h/\"\n allow_unsigned = true\n}"))
	f.Add([]byte("a = [[["))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseConfig("/c/config.hcl", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "/c/config.hcl:") {
				t.Errorf("an error without its place: %v", err)
			}
			return
		}
		for _, s := range c.Sources {
			if (len(s.Keys) == 0) != s.AllowUnsigned || (s.URL == nil) == (s.Mirror == "") || s.URL != nil && s.URL.Scheme != "https" {
				t.Errorf("%+v", s)
			}
		}
	})
}
