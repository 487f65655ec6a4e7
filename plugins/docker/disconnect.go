package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

type disconnectConfig struct {
	Network string `hcl:"network,optional" doc:"Name or id of the network to take the container from; default: its only one, or the network that is the target."`
}

// connection is the undo record of a disconnection: what somebody asked for when
// the container was connected.
type connection struct {
	kept
	Network   string                      `json:"network"`
	NetworkID string                      `json:"network_id"`
	Endpoint  string                      `json:"endpoint"` // id of the connection, new with every one
	Aliases   []string                    `json:"aliases,omitempty"`
	Links     []string                    `json:"links,omitempty"`
	Driver    map[string]string           `json:"driver_opts,omitempty"`
	Static    *network.EndpointIPAMConfig `json:"static,omitempty"` // addresses asked for, not given
	MAC       string                      `json:"mac,omitempty"`
	Gateway   int                         `json:"gateway_priority,omitempty"`
}

func disconnect(e *engines) sdk.Fault[disconnectConfig, connection] {
	return sdk.Fault[disconnectConfig, connection]{
		Type: "docker_disconnect",
		Doc: "Takes a container from a network. It is connected again with the same aliases, links, static addresses and driver options; " +
			"an address that the engine had chosen, and a host port that it had chosen, may become another. " +
			"Of a docker_network it takes every container: the network is there, and nobody is in it.",
		Accepts:       acceptsContainer(),
		Hold:          sdk.HoldJournal,
		Reversibility: sdk.Reversible,
		Requires:      []string{"docker socket"},
		Capabilities:  []schema.Capability{schema.CapDocker},
		Settle:        settle,
		RevertTime:    revertTime,
		Concurrency:   atOnce,
		Prepare:       e.prepareDisconnect,
		Inject:        func(ctx context.Context, _ disconnectConfig, u connection) error { return e.unplug(ctx, u) },
		Observe: func(ctx context.Context, _ disconnectConfig, u connection) (sdk.Effect, error) {
			return e.observeDisconnect(ctx, u)
		},
		Revert: e.plug,
		Scan:   scanKept[connection](e),
	}
}

func (e *engines) prepareDisconnect(ctx context.Context, t sdk.PrepareTarget, c disconnectConfig) (sdk.Prepared[connection], error) {
	return prepareKept(ctx, e, t, func(k kept, s snapshot) (u connection, part string, err error) {
		through, _ := t.Attributes[attributeThrough].(string)
		name, err := s.chooseNetwork(cmp.Or(c.Network, through))
		if err != nil {
			return u, "", err
		}
		return connectionOf(k, s, name), "network:" + name, nil
	})
}

// chooseNetwork finds the network that the scenario means.
func (s snapshot) chooseNetwork(want string) (string, error) {
	if m := s.NetworkMode; m == "host" || m == "none" || strings.HasPrefix(m, "container:") {
		return "", fmt.Errorf("container %s cannot be disconnected: its network mode is %s", s.Name, m)
	}
	names := slices.Sorted(maps.Keys(s.Networks))
	list := strings.Join(names, ", ")
	switch {
	case len(names) == 0:
		return "", fmt.Errorf("container %s is connected to no network", s.Name)
	case want == "" && len(names) > 1:
		return "", fmt.Errorf("container %s is connected to %s: say which with network", s.Name, list)
	case want == "":
		return names[0], nil
	}
	for _, name := range names {
		if name == want || s.Networks[name].NetworkID == want {
			return name, nil
		}
	}
	return "", fmt.Errorf("container %s is not connected to %q, only to %s", s.Name, want, list)
}

// connectionOf records a connection as it was asked for.
func connectionOf(k kept, s snapshot, name string) connection {
	n := s.Networks[name]
	u := connection{
		kept: k, Network: name, NetworkID: n.NetworkID, Endpoint: n.EndpointID,
		Aliases: ownAliases(s.ID, n.Aliases), Links: n.Links, Driver: n.DriverOpts, MAC: s.MAC, Gateway: n.GwPriority,
	}
	if c := n.IPAMConfig; c != nil && (c.IPv4Address != "" || c.IPv6Address != "" || len(c.LinkLocalIPs) > 0) {
		u.Static = c.Copy()
	}
	return u
}

// ownAliases leaves out the short container id, which older engines list and add
// by themselves.
func ownAliases(id string, all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(a string) bool { return a == brief(id) })
}

// settings are what the connection was made with.
func (u connection) settings() *network.EndpointSettings {
	s := &network.EndpointSettings{
		Aliases: u.Aliases, Links: u.Links, DriverOpts: u.Driver, MacAddress: u.MAC, GwPriority: u.Gateway,
	}
	if u.Static != nil {
		s.IPAMConfig = u.Static.Copy()
	}
	return s
}

// as says whether the container is connected, and whether it is as it was asked
// for at first. After a connection that failed, say because the address was taken,
// an engine may list the network although a running container has no part in it:
// it lacks the endpoint.
func (u connection) as(s snapshot) (connected bool, differs string) {
	n, ok := s.Networks[u.Network]
	if !ok || n == nil || s.Running && n.EndpointID == "" {
		return false, ""
	}
	for _, a := range u.Aliases {
		if !slices.Contains(n.Aliases, a) {
			return true, "without alias " + a
		}
	}
	for _, l := range u.Links {
		if !slices.Contains(n.Links, l) {
			return true, "without link " + l
		}
	}
	if u.Static != nil {
		c := n.IPAMConfig
		if c == nil {
			c = &network.EndpointIPAMConfig{}
		}
		if c.IPv4Address != u.Static.IPv4Address || c.IPv6Address != u.Static.IPv6Address {
			return true, strings.TrimSpace(fmt.Sprintf("without its address %s %s", u.Static.IPv4Address, u.Static.IPv6Address))
		}
	}
	return true, ""
}

func (e *engines) unplug(ctx context.Context, u connection) error {
	engine, s, err := u.toChange(ctx, e)
	if err != nil {
		return err
	}
	if connected, _ := u.as(s); !connected {
		return fmt.Errorf("container %s was disconnected from %s by somebody else", u.Name, u.Network)
	}
	ctx, cancel := finish(ctx, engineTime)
	defer cancel()
	err = engine.NetworkDisconnect(ctx, u.NetworkID, u.Container, false)
	return engine.at.explain(fmt.Sprintf("disconnect container %s from %s", u.Name, u.Network), err)
}

func (e *engines) observeDisconnect(ctx context.Context, u connection) (sdk.Effect, error) {
	_, s, found, err := u.look(ctx, e)
	if err != nil {
		return sdk.Effect{}, err
	}
	if !found {
		return sdk.Effect{Detail: "the container was removed"}, nil
	}
	connected, _ := u.as(s)
	switch {
	case !connected:
		return sdk.Effect{Bites: true, Detail: "not connected to " + u.Network}, nil
	case s.StartedAt == u.StartedAt && s.Networks[u.Network].EndpointID != u.Endpoint:
		return sdk.Effect{Bites: true, Ended: true, Detail: "was disconnected from " + u.Network + " and is connected again"}, nil
	}
	return sdk.Effect{Detail: "connected to " + u.Network}, nil
}

func (e *engines) plug(ctx context.Context, u connection) (sdk.Reverted, error) {
	ctx, cancel := context.WithTimeout(ctx, revertTime)
	defer cancel()
	engine, s, found, err := u.look(ctx, e)
	if err != nil {
		return sdk.Reverted{}, err
	}
	if r, done := u.alone(s, found); done {
		return r, nil
	}
	// Somebody may do the same at this moment: what counts is how it looks afterwards.
	connect := engine.NetworkConnect(ctx, u.NetworkID, u.Container, u.settings())
	s, found, err = engine.look(ctx, u.Container)
	if err != nil {
		return sdk.Reverted{}, errors.Join(engine.at.explain("connect container "+u.Name+" again", connect), err)
	}
	r, done := u.alone(s, found)
	switch {
	case done && connect == nil && r.Outcome == sdk.AlreadyGone && found:
		return sdk.Reverted{Outcome: sdk.PutBack, Proof: "connected to " + u.Network + " again" + u.described()}, nil
	case done && connect == nil && found:
		return sdk.Reverted{}, fmt.Errorf("container %s was connected to %s again: %s", u.Name, u.Network, r.Proof)
	case done:
		return r, nil
	case cerrdefs.IsNotFound(connect):
		return engine.networkGone(ctx, u)
	case connect != nil:
		return sdk.Reverted{}, engine.at.explain(fmt.Sprintf("connect container %s to %s again", u.Name, u.Network), connect)
	}
	return sdk.Reverted{}, fmt.Errorf("container %s is still not connected to %s after it was connected again", u.Name, u.Network)
}

// networkGone is the end of a revert that found the container but not its network.
func (e *engine) networkGone(ctx context.Context, u connection) (sdk.Reverted, error) {
	_, err := e.NetworkInspect(ctx, u.NetworkID, network.InspectOptions{})
	switch {
	case cerrdefs.IsNotFound(err):
		return sdk.Reverted{
			Outcome: sdk.ForeignChange, Residue: true,
			Proof: fmt.Sprintf("somebody removed network %s (%s): container %s cannot be connected to it again", u.Network, brief(u.NetworkID), u.Name),
		}, nil
	case err != nil:
		return sdk.Reverted{}, e.at.explain("inspect network "+u.Network, err)
	}
	return sdk.Reverted{}, fmt.Errorf("container %s or network %s was missing for a moment", u.Name, u.Network)
}

// described lists what a connection was made with, for the proof.
func (u connection) described() string {
	var parts []string
	if len(u.Aliases) > 0 {
		parts = append(parts, "aliases "+strings.Join(u.Aliases, ", "))
	}
	if u.Static != nil {
		parts = append(parts, strings.TrimSpace("address "+u.Static.IPv4Address+" "+u.Static.IPv6Address))
	}
	if len(parts) == 0 {
		return ""
	}
	return " with " + strings.Join(parts, "; ")
}

func (u connection) alone(s snapshot, found bool) (sdk.Reverted, bool) {
	if !found {
		return u.removed(), true
	}
	connected, differs := u.as(s)
	switch {
	case connected && differs != "":
		return sdk.Reverted{Outcome: sdk.ForeignChange, Proof: "somebody else connected it to " + u.Network + " again, " + differs}, true
	case connected:
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "connected to " + u.Network}, true
	}
	return sdk.Reverted{}, false
}

func (u connection) left() string {
	return fmt.Sprintf("container %s is not connected to %s", u.Name, u.Network)
}
