package main

import (
	"bytes"
	"io"

	"github.com/faultline-go/faultline/engine/journal"
)

// hide keeps a scenario's sensitive values out of what is printed from now on: an
// error of a plugin that was given one may quote it.
func (g *global) hide(values []string) {
	if len(values) == 0 {
		return
	}
	g.process.stdout = hiding{g.process.stdout, values}
	g.process.stderr = hiding{g.process.stderr, values}
	g.log.hide(values)
}

// hiding writes without sensitive values, as far as each is in one write, which all of
// ours are.
type hiding struct {
	io.Writer
	values []string
}

func (h hiding) Write(p []byte) (int, error) {
	text := p
	for _, v := range h.values {
		if journal.CanHide(v) {
			text = bytes.ReplaceAll(text, []byte(v), []byte(journal.Redacted))
		}
	}
	if _, err := h.Writer.Write(text); err != nil {
		return 0, err
	}
	return len(p), nil
}
