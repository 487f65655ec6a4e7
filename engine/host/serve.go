package host

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/faultline-go/faultline/engine/trust"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Serve starts the plugin of a file, whatever that is called, for other engines to attach
// to, one after the other. It inherits all variables that a plugin may have: the scenarios
// that name them come later. The caller closes the plugin, which puts back what it holds.
func (h *Host) Serve(ctx context.Context, path string) (*Plugin, wire.Reattach, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, wire.Reattach{}, fmt.Errorf("find the plugin's program: %w", err)
	}
	b, err := openBinary(strings.TrimPrefix(filepath.Base(path), Prefix), path)
	if err != nil {
		return nil, wire.Reattach{}, err
	}
	defer b.close()
	b.any, b.served, b.basis = true, true, trust.Insecure // who names a file vouches for it
	if err := b.hash(); err != nil {
		return nil, wire.Reattach{}, err
	}
	var inherit []string
	for _, kv := range h.opts.Environ() {
		if name, _, _ := strings.Cut(kv, "="); schema.CheckVariable(name) == nil {
			inherit = append(inherit, name)
		}
	}
	p, err := h.launch(ctx, b, inherit...)
	if err != nil {
		return nil, wire.Reattach{}, err
	}
	address := p.client.ReattachConfig().Addr
	return p, wire.Reattach{
		Protocol: p.Protocol, Network: address.Network(), Address: address.String(), PID: p.PID(), Binary: path,
	}, nil
}
