package report

import (
	"encoding/json"
	"io"

	"github.com/faultline-go/faultline/engine/judge"
)

// JSON writes the whole result, indented, with a newline at its end. Its fields are
// those of judge.Result; "format" rises when one changes its meaning.
func JSON(w io.Writer, r *judge.Result) error { return writeJSON(w, r) }

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
