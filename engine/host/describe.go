package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/faultline-go/faultline/sdk/schema"
)

// Described is what the plugin of a binary says of itself. It is what the cache keeps.
type Described struct {
	SHA256      string              `json:"sha256"`   // of the binary
	Protocol    int                 `json:"protocol"` // that it answered in
	Description *schema.Description `json:"description"`
}

// NameError says that a plugin calls itself something else.
type NameError struct{ Want, Says string }

func (e *NameError) Error() string {
	return fmt.Sprintf("the plugin's file is called %s%s but says that it is %q: rename it to %s%s", Prefix, e.Want, e.Says, Prefix, e.Says)
}

// Describe says what a plugin offers. It starts the plugin only when the cache does
// not know the binary.
func (h *Host) Describe(ctx context.Context, name string) (*schema.Description, error) {
	if at, ok := h.opts.Reattach[name]; ok {
		return h.describeAttached(ctx, name, at)
	}
	path, err := h.Find(name)
	if err != nil {
		return nil, err
	}
	d, err := h.describe(ctx, name, path)
	return d.Description, err
}

// DescribeFile says what the plugin with that name offers, whose binary is the file at
// path, whatever it is called. The error for a plugin that calls itself something else
// is a *NameError.
func (h *Host) DescribeFile(ctx context.Context, name, path string) (Described, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Described{}, err
	}
	return h.describe(ctx, name, path)
}

// Protocols lists the protocols of this faultline that the plugin of a file speaks, too:
// it is started with each of them alone, because it says only which one it has picked.
func (h *Host) Protocols(ctx context.Context, name, path string) ([]int, error) {
	var out []int
	for v := h.protocols.oldest; v <= h.protocols.newest; v++ {
		alone := &Host{opts: h.opts, protocols: protocols{v, v}}
		alone.opts.CacheDir = "" // which knows of one protocol
		_, err := alone.DescribeFile(ctx, name, path)
		if errors.Is(err, errOtherProtocol) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// describe returns the checksum also where the binary may not start, or cannot.
func (h *Host) describe(ctx context.Context, name, path string) (Described, error) {
	b, err := openBinary(name, path)
	if err != nil {
		return Described{}, err
	}
	defer b.close()
	if err := h.checksum(b); err != nil {
		return Described{}, err
	}
	if err := h.allow(b); err != nil {
		return Described{SHA256: b.sum}, err
	}
	d, err := h.ask(ctx, b)
	if err != nil {
		return Described{SHA256: b.sum}, err
	}
	return d, nil
}

// ask asks a binary that may start what it offers, unless the cache knows.
func (h *Host) ask(ctx context.Context, b *binary) (Described, error) {
	if d, ok := h.cached(b.sum); ok {
		return d, check(d.Description, b.name)
	}
	if err := b.hash(); err != nil {
		return Described{}, err
	}
	if err := h.allow(b); err != nil {
		return Described{}, err
	}
	p, err := h.launch(ctx, b)
	if err != nil {
		return Described{}, err
	}
	return Described{p.SHA256, p.Protocol, p.Description}, p.Close(ctx)
}
