// Package schema has the JSON Schemas (draft 2020-12) of what faultline writes for
// programs. They are kept by hand; tests hold them against the Go types and against
// what is written.
//
// A schema says what a reader may rely on. Fields may be added under the same version,
// so that objects are open to readers; faultline's own tests close them.
package schema

import (
	_ "embed"
	"slices"
)

// Schema is a form's schema.
type Schema struct {
	Name string // "report", "events", "language"
	What string // which form it is of
	Text []byte
}

//go:embed report.v1.schema.json
var report []byte

//go:embed events.v1.schema.json
var events []byte

//go:embed language.v1.schema.json
var language []byte

// All are the schemas that there are.
var All = []Schema{
	{"report", "a report with -format json", report},
	{"events", "each line of a report with -format ndjson", events},
	{"language", "the language, as schema without a name prints it", language},
}

// Named finds a schema.
func Named(name string) (Schema, bool) {
	i := slices.IndexFunc(All, func(s Schema) bool { return s.Name == name })
	if i < 0 {
		return Schema{}, false
	}
	return All[i], true
}
