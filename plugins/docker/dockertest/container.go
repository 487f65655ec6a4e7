package dockertest

import (
	"context"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
)

// Network is a user-defined bridge network of a test: its containers find each
// other by their aliases.
type Network struct {
	ID   string
	Name string
}

// NewNetwork creates a network that lives as long as the test.
func NewNetwork(t testing.TB) Network {
	t.Helper()
	cli := Client(t)
	ctx, cancel := context.WithTimeout(t.Context(), engineTimeout)
	defer cancel()
	name := uniqueName("net")
	created, err := cli.NetworkCreate(ctx, name, network.CreateOptions{Driver: "bridge", Labels: labels(t, nil)})
	if err != nil {
		t.Fatalf("create a network: %v", err)
	}
	thing{kind: "network", id: created.ID, name: name}.cleanUp(t, cli)
	return Network{ID: created.ID, Name: name}
}

// Container says what Run starts. Only Image is required.
type Container struct {
	Image   string
	Args    []string // after the image's entry point; nil: the image's own
	Labels  map[string]string
	Network Network                     // zero: the engine's default network
	Aliases []string                    // names in Network
	Restart container.RestartPolicyMode // zero: the engine never restarts it

	// AutoRemove makes the engine remove the container when it ends.
	AutoRemove bool
	// Publish is a TCP port of the container to be reached from this machine;
	// zero: none. Running.Address says where.
	Publish string
}

// Running is a container that Run has started.
type Running struct {
	ID      string
	Name    string
	Address string // host:port on loopback of the published port, if any
}

// Run starts a container that lives at most as long as the test. It returns when
// the container runs, which says nothing about the program in it.
func Run(t testing.TB, c Container) Running {
	t.Helper()
	cli := Client(t)
	ctx, cancel := context.WithTimeout(t.Context(), engineTimeout)
	defer cancel()

	config := &container.Config{Image: c.Image, Cmd: c.Args, Labels: labels(t, c.Labels)}
	host := &container.HostConfig{AutoRemove: c.AutoRemove, RestartPolicy: container.RestartPolicy{Name: c.Restart}}
	if c.Publish != "" {
		port := nat.Port(c.Publish + "/tcp")
		config.ExposedPorts = nat.PortSet{port: {}}
		host.PortBindings = nat.PortMap{port: {{HostIP: "127.0.0.1", HostPort: ""}}} // a free one
	}
	var networks *network.NetworkingConfig
	if c.Network.ID != "" {
		host.NetworkMode = container.NetworkMode(c.Network.ID)
		networks = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			c.Network.ID: {NetworkID: c.Network.ID, Aliases: c.Aliases},
		}}
	}
	role := "container"
	if len(c.Aliases) > 0 {
		role = c.Aliases[0]
	}
	name := uniqueName(role)
	created, err := cli.ContainerCreate(ctx, config, host, networks, nil, name)
	if err != nil {
		t.Fatalf("create container %s: %v", name, err)
	}
	thing{kind: "container", id: created.ID, name: name}.cleanUp(t, cli)
	if err := cli.ContainerStart(ctx, created.ID, container.StartOptions{}); err != nil {
		t.Fatalf("start container %s: %v", name, err)
	}
	running := Running{ID: created.ID, Name: name}
	if c.Publish != "" {
		running.Address = published(t, created.ID, nat.Port(c.Publish+"/tcp"))
	}
	return running
}

// published returns where on loopback a container's port is to be reached.
func published(t testing.TB, id string, port nat.Port) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), engineTimeout)
	defer cancel()
	info, err := Client(t).ContainerInspect(ctx, id)
	if err != nil {
		t.Fatalf("inspect container %s: %v", id, err)
	}
	bindings := info.NetworkSettings.Ports[port]
	if len(bindings) == 0 {
		t.Fatalf("container %s has not published port %s; it is %s, exit code %d", info.Name, port, info.State.Status, info.State.ExitCode)
	}
	return bindings[0].HostIP + ":" + bindings[0].HostPort
}
