package main

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// serviceMatch is the match block of a docker_compose_service target.
type serviceMatch struct {
	Project string            `hcl:"project,optional" doc:"Compose project; * and ? stand for any characters."`
	Service string            `hcl:"service,optional" example:"web" doc:"Compose service; * and ? stand for any characters."`
	Label   map[string]string `hcl:"label,optional" doc:"Labels that a container of the service must have, all of them."`
}

func services(e *engines) sdk.Target[serviceMatch] {
	return sdk.Target[serviceMatch]{
		Type:         interfaceService,
		Capabilities: []schema.Capability{schema.CapDocker},
		Doc: "Services of Compose projects that have containers. A fault on a service works on all of its containers that run when it begins; " +
			"to hit some of them, use docker_container.",
		Interfaces: []string{interfaceService},
		Attributes: []schema.Attribute{
			{Name: "project", Type: "string", Doc: "Compose project"},
			{Name: "service", Type: "string", Doc: "Compose service"},
			{Name: "containers", Type: "number", Doc: "how many containers it has, in every state"},
			{Name: "running", Type: "number", Doc: "how many of them run"},
		},
		Discover: func(ctx context.Context, m serviceMatch) ([]sdk.Candidate, error) {
			engine, err := e.current()
			if err != nil {
				return nil, err
			}
			return engine.services(ctx, m)
		},
	}
}

func (e *engine) services(ctx context.Context, m serviceMatch) ([]sdk.Candidate, error) {
	args := filters.NewArgs(filters.Arg("label", labelService))
	for k, v := range m.Label {
		args.Add("label", k+"="+v)
	}
	all, err := e.list(ctx, args)
	if err != nil {
		return nil, err
	}
	type place struct{ project, service string }
	count, running := map[place]int{}, map[place]int{}
	for _, s := range all {
		c := composeOf(s.Labels)
		if c == nil {
			continue
		}
		project, err := fits(m.Project, c.Project)
		if err != nil {
			return nil, err
		}
		service, err := fits(m.Service, c.Service)
		if err != nil {
			return nil, err
		}
		if !project || !service {
			continue
		}
		at := place{c.Project, c.Service}
		count[at]++
		if s.State == container.StateRunning {
			running[at]++
		}
	}
	out := make([]sdk.Candidate, 0, len(count))
	for at, n := range count {
		name := at.project + "/" + at.service
		out = append(out, sdk.Candidate{ID: name, Name: name, Attributes: map[string]any{
			"project": at.project, "service": at.service, "containers": n, "running": running[at],
		}})
	}
	slices.SortFunc(out, func(a, b sdk.Candidate) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// fits compares a name with a pattern; an empty pattern fits everything.
func fits(pattern, name string) (bool, error) {
	if pattern == "" {
		return true, nil
	}
	ok, err := path.Match(pattern, name)
	if err != nil {
		return false, fmt.Errorf("match %q: %w", pattern, err)
	}
	return ok, nil
}

// networkMatch is the match block of a docker_network target.
type networkMatch struct {
	Name  string            `hcl:"name,optional" example:"backend" doc:"Network name; * and ? stand for any characters."`
	Label map[string]string `hcl:"label,optional" doc:"Labels the network must have, all of them."`
}

func networks(e *engines) sdk.Target[networkMatch] {
	return sdk.Target[networkMatch]{
		Type:         interfaceNetwork,
		Capabilities: []schema.Capability{schema.CapDocker},
		Doc: "Networks of the Docker engine that containers can be taken from and connected to: not host and none. " +
			"A fault on a network works on all containers that are in it and run when it begins; docker_disconnect empties the network.",
		Interfaces: []string{interfaceNetwork},
		Attributes: []schema.Attribute{
			{Name: "id", Type: "string", Doc: "network id"},
			{Name: "name", Type: "string", Doc: "network name"},
			{Name: "driver", Type: "string", Doc: "bridge, overlay, macvlan, …"},
			{Name: "labels", Type: "map(string)", Doc: "all labels"},
			{Name: "project", Type: "string", Doc: "Compose project; absent outside Compose"},
		},
		Discover: func(ctx context.Context, m networkMatch) ([]sdk.Candidate, error) {
			engine, err := e.current()
			if err != nil {
				return nil, err
			}
			return engine.networks(ctx, m)
		},
	}
}

func (e *engine) networks(ctx context.Context, m networkMatch) ([]sdk.Candidate, error) {
	args := filters.NewArgs()
	for k, v := range m.Label {
		args.Add("label", k+"="+v)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	all, err := e.NetworkList(ctx, network.ListOptions{Filters: args})
	if err != nil {
		return nil, e.at.explain("list networks", err)
	}
	var out []sdk.Candidate
	for _, n := range all {
		named, err := fits(m.Name, n.Name)
		if err != nil {
			return nil, err
		}
		if !named || n.Driver == "host" || n.Driver == "null" {
			continue
		}
		labels := n.Labels
		if labels == nil {
			labels = map[string]string{}
		}
		a := map[string]any{"id": n.ID, "name": n.Name, "driver": n.Driver, "labels": labels}
		if project := labels[labelProject]; project != "" {
			a["project"] = project
		}
		out = append(out, sdk.Candidate{ID: n.ID, Name: n.Name, Incarnation: "network " + brief(n.ID), Attributes: a})
	}
	slices.SortFunc(out, func(a, b sdk.Candidate) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

// membersOf finds the containers that a target consists of, each as a target of its
// own.
func (e *engines) membersOf(ctx context.Context, t sdk.PrepareTarget) ([]sdk.PrepareTarget, error) {
	var args filters.Args
	var through string
	switch {
	case slices.Contains(t.Interfaces, interfaceService):
		project, _ := t.Attributes["project"].(string)
		service, _ := t.Attributes["service"].(string)
		args = filters.NewArgs(filters.Arg("label", labelProject+"="+project), filters.Arg("label", labelService+"="+service))
	case slices.Contains(t.Interfaces, interfaceNetwork):
		through, _ = t.Attributes["id"].(string)
		args = filters.NewArgs(filters.Arg("network", through))
	default:
		return []sdk.PrepareTarget{t}, nil
	}
	engine, err := e.current()
	if err != nil {
		return nil, err
	}
	if through != "" {
		if _, err := engine.NetworkInspect(ctx, through, network.InspectOptions{}); cerrdefs.IsNotFound(err) {
			return nil, fmt.Errorf("network %s does not exist any more: %w", t.Name, sdk.ErrGone)
		}
	}
	all, err := engine.list(ctx, args)
	if err != nil {
		return nil, err
	}
	var out []sdk.PrepareTarget
	for _, s := range all {
		_, own := s.Labels[labelOwn]
		if own || s.State != container.StateRunning || through == "" && composeOf(s.Labels) == nil {
			continue
		}
		out = append(out, sdk.PrepareTarget{
			Candidate: sdk.Candidate{
				ID: logicalID(s.ID, s.Labels), Name: nameOf(s),
				Attributes: map[string]any{"id": s.ID, "state": string(s.State), attributeThrough: through},
			},
			AcceptIrreversible: t.AcceptIrreversible,
		})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no container that runs: %w", t.Name, sdk.ErrGone)
	}
	slices.SortFunc(out, func(a, b sdk.PrepareTarget) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// list lists containers in every state.
func (e *engine) list(ctx context.Context, args filters.Args) ([]container.Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	all, err := e.ContainerList(ctx, container.ListOptions{All: true, Filters: args})
	return all, e.at.explain("list containers", err)
}
