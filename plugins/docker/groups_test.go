package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/network"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
)

// discovered finds the only target that matches, with all that the SDK adds to it.
func (l *lab) discovered(kind string, match string) sdk.Candidate {
	l.t.Helper()
	found, err := plugintest.Client(l.t, plugin(l.engines)).Discover(context.Background(), kind, []byte(match))
	if err != nil || len(found) != 1 {
		l.t.Fatalf("found %+v, %v", found, err)
	}
	return found[0]
}

func TestAServiceIsHitAsAWhole(t *testing.T) {
	l := newLab(t)
	project := "p-" + strings.ToLower(l.mark[len(l.mark)-10:])
	a, b := l.run(composed(project, "web", "1")), l.run(composed(project, "web", "2"))
	other := l.run(composed(project, "store", "1"))
	stopped := l.create(composed(project, "web", "3"))
	target := l.discovered("docker_compose_service", `{"project": "`+project+`", "service": "w*"}`)
	if target.Name != project+"/web" || target.Attributes["containers"] != 3. || target.Attributes["running"] != 2. {
		t.Errorf("found %+v", target)
	}
	f := eachOf(l.engines, pause(l.engines))
	u := prepared(l, f, target, pauseConfig{Via: viaEngine})
	if len(u.Members) != 2 {
		t.Fatalf("it has the members %+v", u.Members)
	}
	ids := func(c sdk.Candidate) string { return c.Attributes["id"].(string) }
	standing := func() []bool {
		return []bool{l.look(ids(a)).Paused, l.look(ids(b)).Paused, l.look(ids(other)).Paused}
	}
	l.must(f.Inject(context.Background(), pauseConfig{}, u))
	if got := standing(); !slices.Equal(got, []bool{true, true, false}) {
		t.Errorf("paused: %v", got)
	}
	e := observes(l, f, pauseConfig{}, u, true, false)
	if e.Measures["containers_hit"] != 2 {
		t.Errorf("observed %+v", e)
	}
	afresh := func(e *engines) sdk.Fault[pauseConfig, members[paused]] { return eachOf(e, pause(e)) }
	scans(l, afresh, u, 2)
	l.must(l.engine.ContainerUnpause(context.Background(), ids(b)))
	observes(l, f, pauseConfig{}, u, false, false)
	reverts(l, afresh, u, sdk.PutBack)
	if got := standing(); slices.Contains(got, true) {
		t.Errorf("after the revert paused: %v", got)
	}
	scans(l, afresh, u, 0)

	// One that has ended by itself keeps the others from nothing; when all have, the
	// target is gone.
	u = prepared(l, f, target, pauseConfig{Via: viaEngine})
	l.must(l.engine.ContainerKill(context.Background(), ids(a), "SIGKILL"))
	l.must(f.Inject(context.Background(), pauseConfig{}, u))
	if !l.look(ids(b)).Paused {
		t.Error("the other one is not paused")
	}
	reverts(l, afresh, u, sdk.PutBack)
	l.remove(ids(a))
	l.remove(ids(b))
	if _, err := f.Prepare(context.Background(), sdk.PrepareTarget{Candidate: target}, pauseConfig{}); !errors.Is(err, sdk.ErrGone) {
		t.Errorf("prepared without a container that runs (%s): %v", brief(stopped), err)
	}
}

func TestANetworkIsEmptied(t *testing.T) {
	l := newLab(t)
	net, id, prefix := l.network()
	_, other, _ := l.network()
	at := func(host string) option {
		return connected(net, &network.EndpointSettings{Aliases: []string{"store"}, IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: prefix + host}})
	}
	a, b := l.run(at("10")), l.run(at("11"))
	l.must(l.engine.NetworkConnect(context.Background(), other, b.ID, nil)) // then it has two
	target := l.discovered("docker_network", `{"name": "`+net+`"}`)
	if target.ID != id || target.Attributes["driver"] != "bridge" {
		t.Errorf("found %+v", target)
	}
	f := eachOf(l.engines, disconnect(l.engines))
	u := injected(l, f, target, disconnectConfig{})
	inside := func() int {
		n, err := l.engine.NetworkInspect(context.Background(), id, network.InspectOptions{})
		l.must(err)
		return len(n.Containers)
	}
	if n := inside(); n != 0 {
		t.Errorf("%d containers are in the network", n)
	}
	if n := len(l.look(b.ID).Networks); n != 1 {
		t.Errorf("the container in two networks is in %d", n)
	}
	observes(l, f, disconnectConfig{}, u, true, false)
	reverts(l, func(e *engines) sdk.Fault[disconnectConfig, members[connection]] { return eachOf(e, disconnect(e)) }, u, sdk.PutBack)
	if n := inside(); n != 2 {
		t.Errorf("after the revert %d containers are in the network", n)
	}
	if got := l.look(a.ID).Networks[net].IPAddress; got != prefix+"10" {
		t.Errorf("its address is %s", got)
	}
}

// Zones and regions are labels that the settings name, or the match.
func TestZonesAndRegions(t *testing.T) {
	l := newLab(t)
	l.run(labelled("rack", "r7"), labelled("dc", "north"), labelled("zone", "a"), labelled("region", "south"))
	match := `{"label": {"` + labelTest + `": "` + l.mark + `"}}`
	where := func(settings map[string]any, match string) [2]any {
		client := plugintest.Client(t, plugin(freshEngines(t)), plugintest.WithSettings(settings))
		found, err := client.Discover(context.Background(), "docker_container", []byte(match))
		if err != nil || len(found) != 1 {
			t.Fatalf("found %+v, %v", found, err)
		}
		return [2]any{found[0].Attributes["zone"], found[0].Attributes["region"]}
	}
	if got := where(nil, match); got != [2]any{"a", "south"} {
		t.Errorf("by default it is in %v", got)
	}
	if got := where(map[string]any{"zone_label": "rack", "region_label": "dc"}, match); got != [2]any{"r7", "north"} {
		t.Errorf("by the settings it is in %v", got)
	}
	own := `{"zone_label": "zone", ` + match[1:]
	if got := where(map[string]any{"zone_label": "rack", "region_label": "dc"}, own); got != [2]any{"a", "north"} {
		t.Errorf("by its match it is in %v", got)
	}
}

func TestSeveralMembersTogether(t *testing.T) {
	bites, ended, none := sdk.Effect{Bites: true}, sdk.Effect{Bites: true, Ended: true}, sdk.Effect{}
	for _, c := range []struct {
		all          []sdk.Effect
		bites, ended bool
	}{{[]sdk.Effect{bites, bites}, true, false}, {[]sdk.Effect{bites, none}, false, false}, {[]sdk.Effect{ended, ended}, true, true}, {[]sdk.Effect{ended, bites}, true, false}, {nil, false, false}} {
		if e := summed(c.all); e.Bites != c.bites || e.Ended != c.ended {
			t.Errorf("%+v are %+v", c.all, e)
		}
	}
	back, gone, foreign := sdk.Reverted{Outcome: sdk.PutBack}, sdk.Reverted{Outcome: sdk.AlreadyGone}, sdk.Reverted{Outcome: sdk.ForeignChange, Residue: true}
	for _, c := range []struct {
		all     []sdk.Reverted
		outcome sdk.Outcome
		residue bool
	}{
		{[]sdk.Reverted{gone, back}, sdk.PutBack, false}, {[]sdk.Reverted{gone, gone}, sdk.AlreadyGone, false},
		{[]sdk.Reverted{back, foreign, back}, sdk.ForeignChange, true}, {nil, sdk.AlreadyGone, false},
	} {
		if r := worst(c.all); r.Outcome != c.outcome || r.Residue != c.residue {
			t.Errorf("%+v are %+v", c.all, r)
		}
	}
}
