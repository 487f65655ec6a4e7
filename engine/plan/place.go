package plan

import (
	"path/filepath"
	"strings"

	"github.com/faultline-go/faultline/engine/scenario"
)

// fileName is what a plan calls a file of the scenario, wherever it lies.
func fileName(f scenario.File) string {
	if f.Name != "" {
		return f.Name
	}
	return filepath.Base(f.Path)
}

// places turns the position of a block ("path/day.hcl:12") into one that does not
// depend on where the scenario lies ("day.hcl:12"), so that it may be part of what is
// hashed. Of a block that stands in an experiment's source it is where the scenario
// uses that.
func places(files []scenario.File) func(pos string) string {
	names := map[string]string{}
	for _, f := range files {
		names[f.Path] = fileName(f)
	}
	return func(pos string) string {
		pos, _, _ = strings.Cut(pos, ", in ")
		colon := strings.LastIndexByte(pos, ':')
		if colon < 0 {
			return ""
		}
		name, ok := names[pos[:colon]]
		if !ok {
			return ""
		}
		return name + pos[colon:]
	}
}
