package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// folders are what scenarios find by `target "acme_folder"`.
var folders = sdk.Target[match]{
	Type: "acme_folder", Doc: "A folder.", Interfaces: []string{"folder"},
	Attributes: []schema.Attribute{{Name: "parent", Type: "string", Doc: "the folder that it is in"}},
	Discover:   discover,
}

type match struct {
	Path string `hcl:"path" example:"/srv/*" doc:"Pattern of the folders' paths."`
}

func discover(_ context.Context, m match) ([]sdk.Candidate, error) {
	paths, err := filepath.Glob(m.Path)
	if err != nil {
		return nil, err
	}
	var found []sdk.Candidate
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			continue
		}
		found = append(found, sdk.Candidate{
			ID: path, Name: filepath.Base(path), Attributes: map[string]any{"parent": filepath.Dir(path)},
		})
	}
	return found, nil
}
