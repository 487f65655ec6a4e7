// Command plugin is a plugin that offers next to nothing, for measurements: what remains
// is what every plugin costs. It takes its name from its file's, so that copies of it are
// plugins of their own.
package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/faultline-go/faultline/sdk"
)

func main() {
	name := strings.TrimPrefix(filepath.Base(os.Args[0]), "faultline-plugin-")
	sdk.Serve(sdk.Plugin{
		Name: name, Version: "0.1.0", Doc: "Measures what a plugin costs.",
		Targets: []sdk.TargetType{sdk.Target[struct{}]{
			Type: name, Doc: "Nothing.", Interfaces: []string{"nothing"},
			Discover: func(context.Context, struct{}) ([]sdk.Candidate, error) { return nil, nil },
		}},
	})
}
