package docs_test

import (
	"bytes"
	"encoding/csv"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/faultline-go/faultline/engine/report/schema/schematest"
	"github.com/faultline-go/faultline/internal/programs"
)

// The kept journals of real runs are in every form for programs what the published schemas
// say.
func TestFormatsFollowTheirSchemas(t *testing.T) {
	runs, err := filepath.Glob("../cmd/faultline/testdata/runs/*")
	if err != nil || len(runs) < 2 {
		t.Fatal(runs, err)
	}
	bin := t.TempDir()
	if err := programs.Put(bin, "faultline"); err != nil {
		t.Fatal(err)
	}
	reported := func(format, run string) []byte {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "faultline"), "report", "-state-dir", t.TempDir(), "-format", format, run).Output()
		if err != nil {
			t.Fatalf("report -format %s %s: %v", format, run, err)
		}
		return out
	}
	forReport, forEvents := schematest.Strict(t, "report"), schematest.Strict(t, "events")
	for _, run := range runs {
		schematest.Check(t, forReport, reported("json", run))

		journal, err := os.ReadFile(filepath.Join(run, "journal.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		events := bytes.Split(bytes.TrimSuffix(reported("ndjson", run), []byte("\n")), []byte("\n"))
		if want := bytes.Count(journal, []byte("\n")); len(events) != want {
			t.Errorf("%d events of %d", len(events), want)
		}
		for _, e := range events {
			schematest.Check(t, forEvents, e)
		}

		samples := 0
		rows := csv.NewReader(bytes.NewReader(reported("csv", run)))
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
