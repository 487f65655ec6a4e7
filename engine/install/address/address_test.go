package address

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Address{
		"plugins.example.com/acme/lamp":      {"plugins.example.com", "acme", "lamp"},
		"plugins.example.com:8443/acme/lamp": {"plugins.example.com:8443", "acme", "lamp"},
		"localhost/acme-1/lamp2":             {"localhost", "acme-1", "lamp2"},
		"xn--bcher-kva.example/a/b":          {"xn--bcher-kva.example", "a", "b"},
		"acme/lamp":                          {"", "acme", "lamp"},
	} {
		got, err := Parse(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v (%s), %v", text, got, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                                 "empty",
		"lamp":                             "no namespace",
		"a/b/c/d":                          "more than three parts",
		"https://plugins.example.com/a/b":  "scheme",
		"acme/Lamp":                        "lower-case letters and digits",
		"acme/lamp_off":                    "lower-case letters and digits",
		"acme/lamp-off":                    "lower-case letters and digits",
		"acme/":                            `name ""`,
		"/lamp":                            `namespace ""`,
		"//lamp":                           `host "" has no dot`,
		"Plugins.example.com/acme/lamp":    "lower case",
		"plugins.example.com/lamp":         "is a host",
		"plugins/acme/lamp":                "no dot",
		"plugins.example.com:/a/b":         "no port",
		"plugins.example.com:070/a/b":      "no port",
		"plugins.example.com:70000/a/b":    "no port",
		"../acme/lamp":                     "host",
		"plugins..com/acme/lamp":           "host",
		"plugins.example.com/../lamp":      "is a host",
		"plugins.example.com/ac me/lamp":   "namespace",
		"plugins.example.com/-acme/lamp":   "namespace",
		"plugins.example.com/acme/lamp\n":  "name",
		"büro.example/acme/lamp":           "xn--",
		strings.Repeat("a", 300) + "/b/cd": "characters",
	} {
		if got, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want an error with %q", text, got, err, want)
		}
	}
}

func TestPrefix(t *testing.T) {
	lamp := Address{"plugins.example.com", "acme", "lamp"}
	bare := Address{"", "acme", "lamp"}
	for text, matches := range map[string][2]bool{
		"plugins.example.com":            {true, false},
		"plugins.example.com/acme":       {true, false},
		"plugins.example.com/acme/lamp":  {true, false},
		"plugins.example.com/ac":         {},
		"plugins.example.com/acme/lam":   {},
		"plugins.example.com/acme/lamp2": {},
		"plugins.example":                {},
		"acme":                           {false, true},
		"acme/lamp":                      {false, true},
	} {
		p, err := ParsePrefix(text)
		if err != nil || p.String() != text {
			t.Errorf("%s: %s, %v", text, p, err)
		}
		if got := [2]bool{p.Matches(lamp), p.Matches(bare)}; got != matches {
			t.Errorf("%s matches %v, want %v", text, got, matches)
		}
	}
	for _, text := range []string{"", "/", "plugins.example.com/", "*", "a/b/c", "https://plugins.example.com", "Acme", "plugins.example.com/acme/lamp/x"} {
		if p, err := ParsePrefix(text); err == nil {
			t.Errorf("%q is taken for the prefix %s", text, p)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"plugins.example.com/acme/lamp", "acme/lamp", "a:1/b/c", "../..", "a/b/c/d", "x://y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text)
		if err != nil {
			return
		}
		if a.String() != text {
			t.Errorf("%q is read as %q", text, a)
		}
		// An address becomes a path of a mirror.
		for part := range strings.SplitSeq(text, "/") {
			if part == "" || strings.HasPrefix(part, ".") || strings.ContainsAny(part, "\\ \x00") {
				t.Errorf("%q has the part %q", text, part)
			}
		}
		p, err := ParsePrefix(text)
		if err != nil || !p.Matches(a) {
			t.Errorf("%q is no prefix of itself: %v", text, err)
		}
	})
}
