package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/engine/report/schema/schematest"
)

// reported is what `faultline report` writes of a journal.
func reported(t *testing.T, args ...string) []byte {
	t.Helper()
	var out, errs bytes.Buffer
	p := &process{args: append([]string{"report", "-state-dir", t.TempDir()}, args...), stdin: strings.NewReader(""), stdout: &out, stderr: &errs,
		getenv: func(string) string { return "" }, lookupenv: func(string) (string, bool) { return "", false }, width: func() int { return 0 }}
	if code := command(context.Background(), p); code != 0 || errs.Len() > 0 {
		t.Fatalf("report %q ended with %d: %s", args, code, errs.String())
	}
	return out.Bytes()
}

// The kept journals of real runs, in every form for programs.
func TestRealRunsInMachineFormats(t *testing.T) {
	runs, err := filepath.Glob("testdata/runs/*")
	if err != nil || len(runs) < 2 {
		t.Fatal(runs, err)
	}
	forReport, forEvents := schematest.Strict(t, "report"), schematest.Strict(t, "events")
	for _, run := range runs {
		schematest.Check(t, forReport, reported(t, "-format", "json", run))

		journal, err := os.ReadFile(filepath.Join(run, "journal.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		events := bytes.Split(bytes.TrimSuffix(reported(t, "-format", "ndjson", run), []byte("\n")), []byte("\n"))
		if want := bytes.Count(journal, []byte("\n")); len(events) != want {
			t.Errorf("%d events of %d", len(events), want)
		}
		for _, e := range events {
			schematest.Check(t, forEvents, e)
		}

		samples := 0
		rows := csv.NewReader(bytes.NewReader(reported(t, "-format", "csv", run)))
		for ; ; samples++ {
			if _, err := rows.Read(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if want := bytes.Count(journal, []byte(`"type":"samples"`)); samples-1 < want {
			t.Errorf("%d samples of %d batches", samples-1, want)
		}
	}
}
