package plan

import (
	"slices"
	"strconv"
	"strings"
)

// Problem is why a scenario cannot be planned, with the place in the scenario that
// it is about.
type Problem struct {
	Pos     string // "file:line"; may be empty
	Summary string
	Detail  string // what to do
	Policy  bool   // the environment's policy forbids it
}

// Place is the file and the line of Pos; "" and 0 where there is none.
func (p Problem) Place() (file string, line int) {
	i := strings.LastIndexByte(p.Pos, ':')
	if i < 0 {
		return "", 0
	}
	line, err := strconv.Atoi(p.Pos[i+1:])
	if err != nil {
		return "", 0
	}
	return p.Pos[:i], line
}

// Problems is the error that Build returns for what the user can mend.
type Problems []Problem

func (ps Problems) Error() string {
	var b strings.Builder
	for i, p := range ps {
		if i > 0 {
			b.WriteByte('\n')
		}
		if p.Pos != "" {
			b.WriteString(p.Pos + ": ")
		}
		b.WriteString(p.Summary)
		if p.Detail != "" {
			b.WriteString("\n  " + strings.ReplaceAll(p.Detail, "\n", "\n  "))
		}
	}
	return b.String()
}

// Refused says whether the policy is what stands against the plan.
func (ps Problems) Refused() bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return p.Policy })
}

// refuse adds what the policy forbids.
func (ps *Problems) refuse(pos, summary, detail string) {
	*ps = append(*ps, Problem{Pos: pos, Summary: summary, Detail: detail, Policy: true})
}

func (ps *Problems) add(pos, summary, detail string) {
	*ps = append(*ps, Problem{Pos: pos, Summary: summary, Detail: detail})
}
