//go:build linux

package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	containertype "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/faultline-go/faultline/plugins/internal/dockerhost"
	"github.com/faultline-go/faultline/plugins/internal/netns"
	"github.com/faultline-go/faultline/sdk"
)

// container is one life of a container of one engine.
type container struct {
	Engine    engine `json:"engine"`
	ID        string `json:"id"`
	StartedAt string `json:"started_at"`
	// Helper is set where we cannot enter its network by ourselves.
	Helper bool `json:"helper,omitempty"`
}

// engine says how to reach a Docker engine. TLS files are named, never held.
type engine struct {
	Host string `json:"host"`
	CA   string `json:"tls_ca,omitempty"`
	Cert string `json:"tls_cert,omitempty"`
	Key  string `json:"tls_key,omitempty"`
}

// answerTime bounds a question to an engine.
const answerTime = 10 * time.Second

func (e engine) dial() (*client.Client, error) {
	options, err := dockerhost.Options(e.Host, nil)
	if err != nil {
		return nil, err
	}
	options = append(options, client.WithAPIVersionNegotiation())
	if e.CA != "" || e.Cert != "" {
		options = append(options, client.WithTLSClientConfig(e.CA, e.Cert, e.Key))
	}
	c, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, fmt.Errorf("use the Docker engine at %s: %w", e.Host, err)
	}
	return c, nil
}

// engineOf reads where the engine of a discovered container is.
func engineOf(attributes map[string]any) engine {
	text := func(name string) string { s, _ := attributes[name].(string); return s }
	return engine{Host: text("engine"), CA: text("engine_tls_ca"), Cert: text("engine_tls_cert"), Key: text("engine_tls_key")}
}

func (e engine) look(ctx context.Context, id string) (containertype.InspectResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	c, err := e.dial()
	if err != nil {
		return containertype.InspectResponse{}, err
	}
	defer c.Close()
	seen, err := c.ContainerInspect(ctx, id)
	if cerrdefs.IsNotFound(err) {
		return seen, fmt.Errorf("container %.12s does not exist any more: %w", id, sdk.ErrGone)
	}
	if err != nil {
		return seen, fmt.Errorf("inspect container %.12s: %w", id, err)
	}
	if seen.State == nil || seen.HostConfig == nil || seen.NetworkSettings == nil {
		return seen, fmt.Errorf("inspect container %.12s: the engine's answer is not complete", id)
	}
	return seen, nil
}

// containerPlace finds the namespace of a container.
func containerPlace(ctx context.Context, t sdk.PrepareTarget) (place, error) {
	e := engineOf(t.Attributes)
	id, _ := t.Attributes["id"].(string)
	if id == "" {
		id = t.ID
	}
	seen, err := e.look(ctx, id)
	if err != nil {
		return place{}, err
	}
	switch mode := seen.HostConfig.NetworkMode; {
	case mode.IsHost():
		return place{}, fmt.Errorf("container %s has no network of its own: it shares that of its machine, and everything there would be hit", t.Name)
	case !seen.State.Running || seen.State.Restarting:
		return place{}, fmt.Errorf("container %s is %s, not running: %w", t.Name, seen.State.Status, sdk.ErrGone)
	}
	c := &container{Engine: e, ID: seen.ID, StartedAt: seen.State.StartedAt}
	if via.of() == viaHelper || via.of() == viaAuto && !enterable(seen.State.Pid, seen.ID) {
		c.Helper = true
		return place{Name: t.Name, Container: c}, nil
	}
	p, err := ofProcess(t.Name, seen.State.Pid, 0)
	p.Container = c
	return p, err
}

// enterable says whether we can enter a container's network by ourselves: it has to be on
// this machine, and we have to be root here.
func enterable(pid int, id string) bool {
	if os.Geteuid() != 0 || !here(pid, id) {
		return false
	}
	n, err := netns.OfProcess(pid)
	if err != nil {
		return false
	}
	defer n.Close()
	return n.Do(func() error { return nil }) == nil
}

// named finds another container, if a host is written as one.
func (c *container) named(ctx context.Context, host string) ([]netip.Addr, bool, error) {
	name, ok := strings.CutPrefix(host, containerPrefix)
	if !ok {
		return nil, false, nil
	}
	found, err := c.addressesOf(ctx, name)
	return found, true, err
}

// addressesOf finds another container of the same engine. A nil container stands for the
// engine that the environment names.
func (c *container) addressesOf(ctx context.Context, name string) ([]netip.Addr, error) {
	var e engine
	if c != nil {
		e = c.Engine
	}
	seen, err := e.look(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("%s%s: %w", containerPrefix, name, err)
	}
	var out []netip.Addr
	for _, n := range seen.NetworkSettings.Networks {
		for _, text := range []string{n.IPAddress, n.GlobalIPv6Address} {
			if a, err := netip.ParseAddr(strings.TrimSpace(text)); err == nil {
				out = append(out, a)
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s%s: it has no address on any network", containerPrefix, name)
	}
	return out, nil
}
