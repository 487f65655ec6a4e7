// Package language describes the languages of scenarios and policies to people and to editors: as a page in
// Markdown, and as JSON with everything that completion, hovering and checking need.
//
// It adds nothing to the tables of engine/scenario, from which the loader reads the
// same, and to the descriptions of the plugins.
package language

import (
	"github.com/faultline-go/faultline/engine/scenario"
	"github.com/faultline-go/faultline/sdk/schema"
)

// Format is the form of a Document.
const Format = "faultline.language/v1"

// Document is everything about the language. Its JSON Schema is that of
// `faultline schema language`.
type Document struct {
	Format     string               `json:"format"`
	Version    string               `json:"faultline"` // the version that says so
	Blocks     []scenario.BlockType `json:"blocks"`
	Policy     []scenario.BlockType `json:"policy"` // blocks of a policy's files
	Functions  []scenario.Function  `json:"functions"`
	References []scenario.Reference `json:"references"`
	Types      []scenario.ValueType `json:"types"`
	Sample     []schema.Attribute   `json:"sample"`    // what every sample has
	Candidate  []schema.Attribute   `json:"candidate"` // what every candidate has
	Catalog    []string             `json:"catalog"`   // sources of experiments
	Plugins    []Plugin             `json:"plugins"`
}

// Plugin is one that was found. Error says why it cannot be used; then there is no
// description.
type Plugin struct {
	Name        string              `json:"name"`
	SHA256      string              `json:"sha256,omitempty"`
	Error       string              `json:"error,omitempty"`
	Description *schema.Description `json:"description,omitempty"`
}

// Describe puts the document together.
func Describe(version string, catalog []string, plugins []Plugin) *Document {
	sources := []string{}
	for _, name := range catalog {
		sources = append(sources, "catalog:"+name)
	}
	if plugins == nil {
		plugins = []Plugin{}
	}
	return &Document{
		Format: Format, Version: version, Blocks: scenario.Language(), Policy: scenario.PolicyLanguage(), Functions: scenario.Functions(),
		References: scenario.References(), Types: scenario.ValueTypes(), Sample: schema.SampleCore,
		Candidate: scenario.CandidateCore(), Catalog: sources, Plugins: plugins,
	}
}
