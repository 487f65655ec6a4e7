// Package schematest checks documents against the schemas, for tests. Here objects are
// closed: what is written and not in the schema is an error.
package schematest

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/faultline-go/faultline/engine/report/schema"
)

// Load is a schema as JSON values.
func Load(t testing.TB, name string) map[string]any {
	t.Helper()
	s, ok := schema.Named(name)
	if !ok {
		t.Fatalf("there is no schema %q", name)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.Text))
	if err != nil {
		t.Fatal(err)
	}
	return doc.(map[string]any)
}

// Strict compiles a schema with every object closed and every format checked.
func Strict(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	doc := Load(t, name)
	closeObjects(doc)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// closeObjects forbids other properties in every object that says which it is required
// to have or may have. The conditions of "if" are no objects of their own.
func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["properties"]; ok && v["type"] == "object" {
			v["additionalProperties"] = false
		}
		for _, x := range v {
			closeObjects(x)
		}
	case []any:
		for _, x := range v {
			closeObjects(x)
		}
	}
}

// Check fails unless a JSON document follows the schema.
func Check(t testing.TB, s *jsonschema.Schema, document []byte) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Errorf("%v: %s", err, document)
		return
	}
	if err := s.Validate(doc); err != nil {
		t.Errorf("%v\nin %.2000s", err, document)
	}
}
