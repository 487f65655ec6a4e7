package report

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/faultline-go/faultline/engine/judge"
)

// Places leads from a place in a result, such as "day.hcl:12", to a file: its path, as
// whoever reads the report has it, and the line. ok is false where it leads nowhere.
// A nil one leads nowhere.
type Places func(place string) (file string, line int, ok bool)

func (p Places) of(place string) (file string, line int, ok bool) {
	if p == nil {
		return "", 0, false
	}
	return p(place)
}

// PlacesOf are the places of a run's sources. file turns the path of a source, relative
// to the folder in which the run was begun or absolute, into the one to be shown; "" for
// none.
func PlacesOf(r *judge.Run, file func(path string) string) Places {
	return func(place string) (string, int, bool) {
		i := strings.LastIndexByte(place, ':')
		if i < 0 || r.Scenario.Source == "" {
			return "", 0, false
		}
		name := place[:i]
		line, err := strconv.Atoi(place[i+1:])
		if err != nil || line < 1 || strings.Contains(name, ":") || !hasSource(r, name) {
			return "", 0, false // of an entry of the catalogue, which is in no repository
		}
		folder := r.Scenario.Source
		if hasSource(r, filepath.Base(folder)) { // a file was given
			folder = filepath.Dir(folder)
		}
		path := file(filepath.Join(folder, name))
		return path, line, path != ""
	}
}

func hasSource(r *judge.Run, name string) bool {
	for _, s := range r.Sources {
		if s.Path == name {
			return true
		}
	}
	return false
}

// firstPlace is where a reader should look first at an experiment's result: at the
// objective or the fault that its deciding reason is about, else at the experiment.
func firstPlace(e *judge.Experiment) string {
	if len(e.Reasons) > 0 && e.Reasons[0].Objective != "" {
		i := slices.IndexFunc(e.Objectives, func(o judge.ObjectiveResult) bool { return o.Objective == e.Reasons[0].Objective && o.Place != "" })
		if i >= 0 {
			return e.Objectives[i].Place
		}
	}
	return e.Place
}
