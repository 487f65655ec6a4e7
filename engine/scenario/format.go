package scenario

import (
	"bytes"

	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Format lays a scenario file out in the usual way: indentation and aligned equals
// signs. A text that cannot be parsed is returned as it is, with what is wrong; path
// is what diagnostics call it.
func Format(path string, text []byte) ([]byte, *Diagnostics) {
	s := &source{path: path, text: text}
	d := &Diagnostics{list: s.parse(), sources: map[string]*source{path: s}}
	if d.HasErrors() {
		return text, d
	}
	out := hclwrite.Format(text)
	if len(out) > 0 && !bytes.HasSuffix(out, []byte("\n")) {
		out = append(out, '\n')
	}
	return out, d
}
