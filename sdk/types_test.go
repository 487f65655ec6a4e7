package sdk

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
)

// FuzzUndo hands any bytes to a fault as the undo record of a journal that somebody
// has damaged, or that another version has written: it is put back from what they
// say, or refused with the reason.
func FuzzUndo(f *testing.F) {
	type undo struct {
		Path   string            `json:"path"`
		PID    int               `json:"pid"`
		Labels map[string]string `json:"labels,omitempty"`
		Next   *undo             `json:"next,omitempty"`
	}
	for _, seed := range []string{
		`{"path": "/run/a", "pid": 12}`, `{"path": "/run/a", "pid": 12, "labels": {"a": "b"}, "next": {"path": "b"}}`,
		`{"pid": "12"}`, `{"pid": 1e99}`, `{"path": "a", "path": "b"}`, `{"next": {"next": {"next": null}}}`,
		`null`, `[]`, `{`, ``, `{"path": "` + strings.Repeat("x", 1<<10) + `"}`, strings.Repeat(`{"next":`, 1000) + `null` + strings.Repeat(`}`, 1000),
	} {
		f.Add([]byte(seed))
	}
	var got *undo
	fault := Fault[struct{}, undo]{Revert: func(_ context.Context, u undo) (Reverted, error) {
		got = &u
		return Reverted{Outcome: AlreadyGone}, nil
	}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got = nil
		_, err := fault.revert(t.Context(), raw)
		switch {
		case err != nil && got != nil:
			t.Errorf("%q was put back, and refused with %v", raw, err)
		case err != nil && !strings.Contains(err.Error(), "undo record"):
			t.Errorf("%q was refused with %v, which does not say that the undo record is wrong", raw, err)
		case err == nil && !json.Valid(raw):
			t.Errorf("%q is no JSON, and was put back", raw)
		}
	})
}
