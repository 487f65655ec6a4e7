package host

import (
	"context"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/faultline-go/faultline/sdk/schema"
)

// Listed is a plugin that is there. Err says why it cannot be used; then the rest
// may be missing.
type Listed struct {
	Name        string
	Path        string
	SHA256      string
	Attached    bool // it runs already
	Description *schema.Description
	Err         error
}

// describers is how many plugins List starts at once. Hashing a binary, and its start,
// take a processor each.
var describers = max(4, runtime.GOMAXPROCS(0))

// List describes every plugin that Find would find, by name.
func (h *Host) List(ctx context.Context) []Listed {
	found := h.found()
	for name := range h.opts.Reattach {
		if !slices.ContainsFunc(found, func(f foundFile) bool { return f.name == name }) {
			found = append(found, foundFile{name: name})
		}
	}
	slices.SortFunc(found, func(a, b foundFile) int { return strings.Compare(a.name, b.name) })
	out := make([]Listed, len(found))
	var g errgroup.Group
	g.SetLimit(describers)
	for i, f := range found {
		g.Go(func() error {
			l := Listed{Name: f.name, Path: f.path}
			if _, ok := h.opts.Reattach[f.name]; ok {
				l.Path, l.Attached = "", true
				l.Description, l.Err = h.Describe(ctx, f.name)
				out[i] = l
				return nil
			}
			if l.Path, l.Err = h.Find(f.name); l.Err == nil {
				var d Described
				d, l.Err = h.describe(ctx, l.Name, l.Path)
				l.Description, l.SHA256 = d.Description, d.SHA256
			} else {
				l.Path = f.path
			}
			out[i] = l
			return nil
		})
	}
	_ = g.Wait() // each has its own error
	return out
}
