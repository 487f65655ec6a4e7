package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestHide writes events that quote secrets, among them one that is the name of a
// member and one that looks like a number of ours.
func TestHide(t *testing.T) {
	store, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w, err := store.Create(NewRunID(time.Now(), "day"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Hide([]string{`pa"ss<word>`, "error", "123456", "ab"})
	for _, c := range []struct{ in, want Data }{
		{
			&Warning{Text: `dial http://me:pa"ss<word>@x: error`},
			&Warning{Text: `dial http://me:(sensitive)@x: (sensitive)`},
		},
		{&Warning{Text: "about cabs"}, &Warning{Text: "about cabs"}}, // too short to be a secret
		{&RunEnded{By: "engine", Error: "123456", ExitCode: 123456}, &RunEnded{By: "engine", Error: "(sensitive)", ExitCode: 123456}},
		{
			&Samples{Probe: "p", Latency: []int64{123456}, Errors: map[string]int{"an error": 2, "an (sensitive)": 1}},
			&Samples{Probe: "p", Latency: []int64{123456}, Errors: map[string]int{"an (sensitive)": 3}},
		},
		{
			&FaultIntent{ID: "f001", Fault: "error", Config: json.RawMessage(`{}`), Targets: []TargetIntent{{ID: "x", Undo: json.RawMessage(`{"n":1}`)}}},
			&FaultIntent{ID: "f001", Fault: "(sensitive)", Config: json.RawMessage(`{}`), Targets: []TargetIntent{{ID: "x", Undo: json.RawMessage(`{"n":1}`)}}},
		},
	} {
		e, err := w.Append(c.in)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, e.Data); diff != "" {
			t.Errorf("the event returned (-want +got):\n%s", diff)
		}
	}
	for _, undo := range []string{`{"password":"pa\"ss<word>"}`, `{"password":"pa\"ss\u003cword\u003e"}`, `{`} {
		_, err := w.Append(&FaultIntent{ID: "f002", Targets: []TargetIntent{{ID: "x", Undo: json.RawMessage(undo)}}})
		if err == nil || undo != "{" && !errors.Is(err, ErrSecretUndo) {
			t.Errorf("an intent with %s: %v", undo, err)
		}
	}
	log, err := ReadAll(w.Dir())
	if err != nil || len(log.Events) != 5 {
		t.Fatalf("%d events, %v", len(log.Events), err)
	}
	raw, err := os.ReadFile(filepath.Join(w.Dir(), FileName))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("word>")) || bytes.Contains(raw, []byte(`word\u003e`)) {
		t.Errorf("the file has a secret:\n%s", raw)
	}
}
