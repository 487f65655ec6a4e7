// Package helper sends our own small program to Docker engines, and starts it beside
// containers: in their network, with no right but to change that.
//
// The program travels in the plugin. Its image is made in memory from nothing else, so
// that no registry is needed, and its tag is the hash of its content.
package helper

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
)

// embedded holds the program for one processor or more, where it was built: a plain
// `go build` of the plugin carries none.
//
//go:embed embedded
var embedded embed.FS

// Program is the program for a processor, as Go calls it.
func Program(arch string) ([]byte, error) {
	program, err := embedded.ReadFile("embedded/helper-linux-" + arch)
	if err != nil {
		return nil, fmt.Errorf("this plugin was built without its helper for %s: build it with `make build`, or with `make build HELPER_ARCHS=%s`", arch, arch)
	}
	return program, nil
}

// repository is the name of the image.
const repository = "faultline-helper"

func tagOf(layer []byte) string {
	sum := sha256.Sum256(layer)
	return hex.EncodeToString(sum[:8])
}
