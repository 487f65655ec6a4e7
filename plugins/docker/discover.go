package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"golang.org/x/sync/errgroup"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// labelOwn marks containers that faultline itself starts to do its work. They are
// never offered as targets.
const labelOwn = "faultline.run"

// match is the match block of a docker_container target.
type match struct {
	Label     map[string]string `hcl:"label,optional" example:"{\"app\": \"web\"}" doc:"Labels the container must have, all of them."`
	Name      string            `hcl:"name,optional" doc:"Container name; * and ? stand for any characters."`
	Image     string            `hcl:"image,optional" doc:"Image the container was made from; without a tag, any tag matches."`
	Network   string            `hcl:"network,optional" doc:"Name or id of a network the container is connected to."`
	ZoneLabel string            `hcl:"zone_label,optional" doc:"Label that holds the container's failure domain; default: that of the plugin's settings, which is zone."`

	RegionLabel string `hcl:"region_label,optional" doc:"Label that holds the container's region; default: that of the plugin's settings, which is region."`
}

func containers(e *engines) sdk.Target[match] {
	return sdk.Target[match]{
		Type:         "docker_container",
		Capabilities: []schema.Capability{schema.CapDocker},
		Doc: "Containers of the Docker engine, in every state: choose with filter { condition = candidate.state == \"running\" }. " +
			"A Compose container is identified by project, service and number, so it stays the same target when it is recreated; " +
			"any other by its id. pick { groups = 1, group_by = \"zone\" } takes a whole zone.",
		Interfaces: []string{"container"},
		Attributes: []schema.Attribute{
			{Name: "id", Type: "string", Doc: "container id"},
			{Name: "name", Type: "string", Doc: "container name"},
			{Name: "image", Type: "string", Doc: "image, as it was named when the container was made"},
			{Name: "state", Type: "string", Doc: "created, running, paused, restarting, removing, exited or dead"},
			{Name: "labels", Type: "map(string)", Doc: "all labels"},
			{Name: "zone", Type: "string", Doc: "failure domain: the value of the label named by zone_label; absent when it has none"},
			{Name: "region", Type: "string", Doc: "region: the value of the label named by region_label; absent when it has none"},
			{Name: "network", Type: "string", Doc: "the first network by name; absent when it has none"},
			{Name: "networks", Type: "list(string)", Doc: "all networks, sorted by name"},
			{Name: "project", Type: "string", Doc: "Compose project; absent outside Compose"},
			{Name: "service", Type: "string", Doc: "Compose service; absent outside Compose"},
			{Name: "number", Type: "string", Doc: "Compose container number; absent outside Compose"},
			{Name: "restart_policy", Type: "string", Doc: "no, always, unless-stopped or on-failure"},
			{Name: "engine", Type: "string", Doc: "address of the engine, for faults of other plugins"},
			{Name: "engine_tls_ca", Type: "string", Doc: "file with the engine's certificate authority; absent without TLS, like the two below"},
			{Name: "engine_tls_cert", Type: "string", Doc: "file with the client certificate"},
			{Name: "engine_tls_key", Type: "string", Doc: "file with the client certificate's key"},
			{Name: "auto_remove", Type: "bool", Doc: "the engine removes the container when it ends (--rm)"},
		},
		Discover: func(ctx context.Context, m match) ([]sdk.Candidate, error) {
			engine, err := e.current()
			if err != nil {
				return nil, err
			}
			return engine.discover(ctx, m.or(e.named()))
		},
	}
}

// inspectors bounds how many containers are looked at at once.
const inspectors = 16

func (e *engine) discover(ctx context.Context, m match) ([]sdk.Candidate, error) {
	if _, err := path.Match(m.Name, ""); err != nil {
		return nil, fmt.Errorf("name = %q: %w", m.Name, err)
	}
	args := filters.NewArgs()
	for k, v := range m.Label {
		args.Add("label", k+"="+v)
	}
	all, err := e.ContainerList(ctx, container.ListOptions{All: true, Filters: args})
	if err != nil {
		return nil, e.at.explain("list containers", err)
	}
	chosen := slices.DeleteFunc(all, func(s container.Summary) bool { return !m.matches(s) })
	chosen = onePerPlace(chosen)

	// The list lacks when a container started, its restart policy and --rm.
	seen := make([]*sdk.Candidate, len(chosen))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inspectors)
	for i, s := range chosen {
		group.Go(func() error {
			now, found, err := e.look(ctx, s.ID)
			if found {
				c := now.candidate(m)
				e.at.describe(c.Attributes)
				seen[i] = &c
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	out := make([]sdk.Candidate, 0, len(seen))
	for _, c := range seen {
		if c != nil {
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(a, b sdk.Candidate) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

// describe says in a candidate's attributes how to reach its engine.
func (a address) describe(attributes map[string]any) {
	attributes["engine"] = a.Host
	if a.CA != "" {
		attributes["engine_tls_ca"] = a.CA
	}
	if a.Cert != "" {
		attributes["engine_tls_cert"], attributes["engine_tls_key"] = a.Cert, a.Key
	}
}

// matches looks at what the engine did not filter itself: its own filters find
// parts of names, and all images built on top of one.
func (m match) matches(s container.Summary) bool {
	if _, own := s.Labels[labelOwn]; own {
		return false
	}
	if m.Name != "" {
		if ok, _ := path.Match(m.Name, nameOf(s)); !ok {
			return false
		}
	}
	if m.Image != "" && !sameImage(m.Image, s.Image) && !sameImage(m.Image, s.ImageID) {
		return false
	}
	if m.Network != "" {
		if s.NetworkSettings == nil {
			return false
		}
		for name, n := range s.NetworkSettings.Networks {
			if name == m.Network || n != nil && n.NetworkID == m.Network {
				return true
			}
		}
		return false
	}
	return true
}

// sameImage compares an image that a scenario wants with a container's, which may
// be written in their short forms. Without a tag or digest any will do.
func sameImage(want, have string) bool {
	if want == have {
		return true
	}
	w, err := reference.ParseNormalizedNamed(want)
	if err != nil {
		return false
	}
	h, err := reference.ParseNormalizedNamed(have)
	if err != nil || w.Name() != h.Name() {
		return false
	}
	if reference.IsNameOnly(w) {
		return true
	}
	return w.String() == reference.TagNameOnly(h).String()
}

// onePerPlace drops all but one container of each place in a Compose project:
// while Compose recreates one, both exist. A running one comes first, then the
// newest.
func onePerPlace(all []container.Summary) []container.Summary {
	taken := map[compose]bool{}
	return slices.DeleteFunc(newestFirst(all), func(s container.Summary) bool {
		c := composeOf(s.Labels)
		if c == nil {
			return false
		}
		again := taken[*c]
		taken[*c] = true
		return again
	})
}

func newestFirst(all []container.Summary) []container.Summary {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b container.Summary) int {
		aRuns, bRuns := a.State == container.StateRunning, b.State == container.StateRunning
		switch {
		case aRuns && !bRuns:
			return -1
		case bRuns && !aRuns:
			return 1
		}
		return cmp.Compare(b.Created, a.Created)
	})
	return all
}

func (s snapshot) candidate(m match) sdk.Candidate {
	networks := slices.Sorted(maps.Keys(s.Networks))
	labels := s.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	a := map[string]any{
		"id": s.ID, "name": s.Name, "image": s.Image, "state": s.Status, "labels": labels,
		"networks": networks, "restart_policy": cmp.Or(s.RestartPolicy, "no"), "auto_remove": s.AutoRemove,
	}
	if zone := s.Labels[cmp.Or(m.ZoneLabel, "zone")]; zone != "" {
		a["zone"] = zone
	}
	if region := s.Labels[cmp.Or(m.RegionLabel, "region")]; region != "" {
		a["region"] = region
	}
	if len(networks) > 0 {
		a["network"] = networks[0]
	}
	if c := composeOf(s.Labels); c != nil {
		a["project"], a["service"], a["number"] = c.Project, c.Service, c.Number
	}
	return sdk.Candidate{ID: logicalID(s.ID, s.Labels), Name: s.Name, Incarnation: s.incarnation(), Attributes: a}
}
