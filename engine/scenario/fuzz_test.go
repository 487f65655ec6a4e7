package scenario

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// FuzzLoad checks that no text makes Load panic, that there is a scenario exactly
// when there are no errors, and that every diagnostic can be written. What loads
// must load in its formatted form too.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(language))
	f.Add([]byte(prelude))
	f.Add(Starter("fuzz"))
	files, err := filepath.Glob("testdata/diagnostics/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, x := range archive.Files {
			if strings.HasSuffix(x.Name, ".hcl") {
				f.Add(x.Data)
			}
		}
	}
	f.Add([]byte(strings.Repeat("(", 2000)))
	f.Add([]byte("x = " + strings.Repeat("!", 2000) + "true"))
	f.Add([]byte("\xef\xbb\xbfscenario \"x\" {\r\n}\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("setproduct")) || bytes.Contains(text, []byte("%")) || len(text) > 64<<10 {
			return // a few characters can ask for any amount of memory
		}
		s, d := loadText(string(text), Options{})
		if (s == nil) != d.HasErrors() {
			t.Fatalf("scenario %v, diagnostics %v", s != nil, d)
		}
		if err := d.Write(io.Discard, 80, true); err != nil {
			t.Fatal(err)
		}
		d.All()
		if s == nil {
			return
		}
		out, d := Format("test.hcl", text)
		if d.HasErrors() {
			t.Fatalf("what loads cannot be formatted: %v", d)
		}
		if _, d := loadText(string(out), Options{}); d.HasErrors() {
			t.Fatalf("formatted, it no longer loads: %v", d)
		}
	})
}
