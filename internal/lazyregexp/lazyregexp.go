// Package lazyregexp has regular expressions that are compiled when they are first used:
// most of our processes live for a moment, and need few of them.
package lazyregexp

import (
	"regexp"
	"sync"
)

// New returns what gives the expression. It panics on a text that is none, when it is used.
func New(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
