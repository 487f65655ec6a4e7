package main

import (
	"testing"

	"github.com/faultline-go/faultline/sdk/plugintest"
)

func TestReference(t *testing.T) {
	plugintest.Reference(t, plugin(newProxies()), "../../docs/plugins/proxy.md")
}
