package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"

	"github.com/faultline-go/faultline/sdk"
)

var onlyNetwork = disconnectConfig{}

func TestDisconnect(t *testing.T) {
	l := newLab(t)
	f := disconnect(l.engines)
	net, netID, prefix := l.network()
	static := prefix + "77"
	watcher := l.run(connected(net, &network.EndpointSettings{}))
	target := l.run(connected(net, &network.EndpointSettings{
		Aliases:    []string{"store", "cache"},
		IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: static},
	}))
	resolves := func(name string) bool { _, ok := l.resolve(watcher.ID, name); return ok }
	if !resolves("store") || !resolves("cache") {
		t.Fatal("the aliases do not resolve before the fault")
	}

	u := prepared(l, f, target, onlyNetwork)
	if u.Network != net || u.NetworkID != netID || !slices.Equal(u.Aliases, []string{"store", "cache"}) || u.Static.IPv4Address != static {
		t.Errorf("undo record %+v", u)
	}
	observes(l, f, onlyNetwork, u, false, false)
	scans(l, disconnect, u, 0)
	reverts(l, disconnect, u, sdk.AlreadyGone)

	l.must(f.Inject(context.Background(), onlyNetwork, u))
	observes(l, f, onlyNetwork, u, true, false)
	scans(l, disconnect, u, 1)
	if resolves("store") {
		t.Error("the alias resolves while the container is disconnected")
	}

	if r := reverts(l, disconnect, u, sdk.PutBack); !strings.Contains(r.Proof, "store") || !strings.Contains(r.Proof, static) {
		t.Errorf("reverted %+v", r)
	}
	now := l.look(u.Container).Networks[net]
	if now.IPAddress != static || !slices.Contains(now.Aliases, "cache") {
		t.Errorf("connected again as %+v", now)
	}
	for _, alias := range []string{"store", "cache", target.Name} {
		if got, _ := l.resolve(watcher.ID, alias); !strings.Contains(got, static) {
			t.Errorf("%s resolves to %s after the revert", alias, got)
		}
	}
	observes(l, f, onlyNetwork, u, true, true)
	scans(l, disconnect, u, 0)
	reverts(l, disconnect, u, sdk.AlreadyGone)
}

func TestDisconnectRevertedTwiceAtOnce(t *testing.T) {
	l := newLab(t)
	net, _, _ := l.network()
	u := injected(l, disconnect(l.engines), l.run(connected(net, &network.EndpointSettings{Aliases: []string{"store"}})), onlyNetwork)
	twice(l, disconnect, u)
	if connected, differs := u.as(l.look(u.Container)); !connected || differs != "" {
		t.Errorf("after two reverts: connected %v, %s", connected, differs)
	}
}

// The disconnection is the container's: a restart does not end it, and it is put
// back on a container that is down.
func TestDisconnectOutlivesTheIncarnation(t *testing.T) {
	l := newLab(t)
	f := disconnect(l.engines)
	net, _, _ := l.network()
	u := injected(l, f, l.run(connected(net, &network.EndpointSettings{Aliases: []string{"store"}})), onlyNetwork)
	l.ready(u.Container)
	l.must(l.engine.ContainerRestart(context.Background(), u.Container, container.StopOptions{}))
	observes(l, f, onlyNetwork, u, true, false)
	reverts(l, disconnect, u, sdk.PutBack)

	again := injected(l, f, l.candidate(u.Container), onlyNetwork)
	l.ready(u.Container)
	l.must(l.engine.ContainerStop(context.Background(), u.Container, container.StopOptions{}))
	observes(l, f, onlyNetwork, again, true, false)
	scans(l, disconnect, again, 1)
	reverts(l, disconnect, again, sdk.PutBack)
	l.start(u.Container)
	if connected, differs := u.as(l.look(u.Container)); !connected || differs != "" {
		t.Errorf("connected %v, %s", connected, differs)
	}
	if err := f.Inject(context.Background(), onlyNetwork, again); !errors.Is(err, sdk.ErrGone) {
		t.Errorf("inject into a newer incarnation: %v", err)
	}
}

// Another fault of the same experiment pauses the container between Prepare and Inject:
// that is no reason to leave it connected, nor to leave it disconnected.
func TestDisconnectBesideAPause(t *testing.T) {
	l := newLab(t)
	f, sister := disconnect(l.engines), pause(l.engines)
	net, _, _ := l.network()
	target := l.run(connected(net, &network.EndpointSettings{Aliases: []string{"store"}}))
	u, p := prepared(l, f, target, onlyNetwork), prepared(l, sister, target, pauseConfig{})
	l.must(sister.Inject(context.Background(), pauseConfig{}, p))
	l.must(f.Inject(context.Background(), onlyNetwork, u))
	observes(l, f, onlyNetwork, u, true, false)
	observes(l, sister, pauseConfig{}, p, true, false)
	reverts(l, disconnect, u, sdk.PutBack)
	observes(l, sister, pauseConfig{}, p, true, false)
	reverts(l, pause, p, sdk.PutBack)
	if connected, differs := u.as(l.look(u.Container)); !connected || differs != "" {
		t.Errorf("after both reverts: connected %v, %s", connected, differs)
	}
}

// Whoever connects or disconnects waits until nobody else does, and not for longer than
// its caller wants.
func TestOneAtATimeAtTheNetworks(t *testing.T) {
	e, err := address{Host: "unix:///nowhere/docker.sock"}.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	over, err := e.turn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.turn(impatient); !errors.Is(err, context.Canceled) {
		t.Errorf("a second turn: %v", err)
	}
	over()
	over, err = e.turn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	over()
}

func TestDisconnectFromDefaultBridge(t *testing.T) {
	l := newLab(t)
	f := disconnect(l.engines)
	target := l.run(func(c *container.Config, h *container.HostConfig, _ *network.NetworkingConfig) {
		h.NetworkMode = "bridge"
		c.ExposedPorts = nat.PortSet{"80/tcp": {}}
		h.PortBindings = nat.PortMap{"80/tcp": {{HostIP: "127.0.0.1"}}}
	})
	u := injected(l, f, target, disconnectConfig{Network: "bridge"})
	observes(l, f, onlyNetwork, u, true, false)
	reverts(l, disconnect, u, sdk.PutBack)
	c, err := l.engine.ContainerInspect(context.Background(), u.Container)
	l.must(err)
	if c.NetworkSettings.Networks["bridge"].IPAddress == "" || len(c.NetworkSettings.Ports["80/tcp"]) == 0 {
		t.Errorf("after the revert: %+v", c.NetworkSettings)
	}
}

func TestDisconnectChoosesTheNetwork(t *testing.T) {
	l := newLab(t)
	f := disconnect(l.engines)
	ctx := context.Background()
	refuses := func(c sdk.Candidate, config disconnectConfig, want string) {
		t.Helper()
		_, err := f.Prepare(ctx, sdk.PrepareTarget{Candidate: c}, config)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("prepare: %v, want %q", err, want)
		}
	}
	refuses(l.run(), onlyNetwork, "network mode is none")

	one, _, _ := l.network()
	two, twoID, _ := l.network()
	target := l.run(connected(one, &network.EndpointSettings{}))
	l.must(l.engine.NetworkConnect(ctx, two, target.ID, nil))
	refuses(target, onlyNetwork, "say which with network")
	refuses(target, disconnectConfig{Network: "three"}, `not connected to "three"`)
	byID := disconnectConfig{Network: twoID}
	p, err := f.Prepare(ctx, sdk.PrepareTarget{Candidate: target}, byID)
	l.must(err)
	if want := fmt.Sprintf("container:%s/network:%s", target.ID, two); len(p.Resources) != 1 || p.Resources[0] != want {
		t.Errorf("resources %v, want %s", p.Resources, want)
	}
	l.must(f.Inject(ctx, byID, p.Undo))
	s := l.look(target.ID)
	if s.Networks[two] != nil || s.Networks[one] == nil {
		t.Errorf("connected to %v", s.Networks)
	}
	reverts(l, disconnect, p.Undo, sdk.PutBack)
}

func TestDisconnectAndSomebodyElse(t *testing.T) {
	l := newLab(t)
	f := disconnect(l.engines)
	ctx := context.Background()
	t.Run("connects it otherwise", func(t *testing.T) {
		l := l.in(t)
		net, _, _ := l.network()
		u := injected(l, f, l.run(connected(net, &network.EndpointSettings{Aliases: []string{"store"}})), onlyNetwork)
		l.must(l.engine.NetworkConnect(ctx, net, u.Container, nil))
		observes(l, f, onlyNetwork, u, true, true)
		if r := reverts(l, disconnect, u, sdk.ForeignChange); r.Residue || !strings.Contains(r.Proof, "without alias store") {
			t.Errorf("reverted %+v", r)
		}
	})
	t.Run("removes the network", func(t *testing.T) {
		l := l.in(t)
		net, netID, _ := l.network()
		u := injected(l, f, l.run(connected(net, &network.EndpointSettings{})), onlyNetwork)
		l.must(l.engine.NetworkRemove(ctx, netID))
		if r := reverts(l, disconnect, u, sdk.ForeignChange); !r.Residue || !strings.Contains(r.Proof, "removed network") {
			t.Errorf("reverted %+v", r)
		}
	})
	t.Run("removes the container", func(t *testing.T) {
		l := l.in(t)
		net, _, _ := l.network()
		u := injected(l, f, l.run(connected(net, &network.EndpointSettings{})), onlyNetwork)
		l.remove(u.Container)
		observes(l, f, onlyNetwork, u, false, false)
		scans(l, disconnect, u, 0)
		reverts(l, disconnect, u, sdk.AlreadyGone)
	})
	t.Run("takes its address", func(t *testing.T) {
		l := l.in(t)
		net, _, prefix := l.network()
		static := func() *network.EndpointSettings {
			return &network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: prefix + "82"}}
		}
		u := injected(l, f, l.run(connected(net, static())), onlyNetwork)
		thief := l.run(connected(net, static()))
		if r, err := disconnect(freshEngines(t)).Revert(ctx, u); err == nil {
			t.Errorf("reverted %+v although the address is taken", r)
		}
		l.remove(thief.ID)
		reverts(l, disconnect, u, sdk.PutBack)
	})
}
