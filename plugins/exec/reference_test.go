package main

import (
	"testing"

	"github.com/faultline-go/faultline/sdk/plugintest"
)

func TestReference(t *testing.T) { plugintest.Reference(t, plugin(), "../../docs/plugins/exec.md") }
