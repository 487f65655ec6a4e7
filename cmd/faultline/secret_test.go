package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecretsStayOut runs game days with a sensitive variable and a plugin that quotes
// it in everything that it says, and searches every file of the state folder and all
// that was printed for it.
func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	const secret = `hunter2"<&>\é-9981`
	const more = `
variable "token" {
  type      = string
  sensitive = true
}
`
	for _, c := range []struct {
		name, call, how string
		code            int
	}{
		{"all is well", "", "", 1}, // samples are bad while the mark is there
		{"an injection fails", "inject", "fail", 6},
		{"an observation fails", "observe", "fail", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			work := workFolder(t)
			write := func(path, text string) {
				if err := os.WriteFile(filepath.Join(work, path), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("day/secret.hcl", more)
			day, err := os.ReadFile(filepath.Join(work, "day", "day.hcl"))
			if err != nil {
				t.Fatal(err)
			}
			write("day/day.hcl", strings.Replace(string(day), "  mark = var.mark\n", "  mark = var.mark\n  token = var.token\n", 1))
			if c.call != "" {
				write(filepath.Join("trouble", c.call), c.how)
			}
			run := faultlineIn(t, work, "run", "day", "-var", "mark="+filepath.Join(work, "things", "pear.marked"))
			run.Env = append(run.Env, "FAULTLINE_VAR_token="+secret, "FAULTLINE_LOG=trace")
			said, err := run.CombinedOutput()
			if got := code(t, err); got != c.code {
				t.Errorf("the run ends with %d, not %d:\n%s", got, c.code, said)
			}
			if !bytes.Contains(said, []byte("level=TRACE msg=call plugin=dummy call=Inject type=dummy_mark")) {
				t.Errorf("the run traces no call:\n%s", said)
			}
			for _, args := range [][]string{{"report"}, {"report", "-format", "json"}, {"history"}, {"recover"}} {
				text, err := faultlineIn(t, work, args...).CombinedOutput()
				if err != nil && args[0] != "report" { // there is no report of a run that was refused
					t.Errorf("%v: %v\n%s", args, err, text)
				}
				said = append(said, text...)
			}
			look := func(where string, text []byte) {
				for _, part := range []string{secret, "hunter2", "-9981"} {
					if bytes.Contains(text, []byte(part)) {
						t.Errorf("%s has %q of the secret:\n%s", where, part, text)
						return
					}
				}
			}
			look("what was printed", said)
			if !bytes.Contains(said, []byte("(sensitive)")) {
				t.Errorf("nothing was hidden, as if the plugin had been careful:\n%s", said)
			}
			files := 0
			err = filepath.WalkDir(filepath.Join(work, "state"), func(path string, d fs.DirEntry, err error) error {
				if err != nil || !d.Type().IsRegular() {
					return err
				}
				if strings.HasPrefix(path, filepath.Join(work, "state", "plugins")) {
					return nil // copies of the plugin, which is this test: it has the secret
				}
				files++
				text, err := os.ReadFile(path)
				look(path, text)
				return err
			})
			if err != nil || files == 0 {
				t.Errorf("%d files, %v", files, err)
			}
		})
	}
}
