package main

import (
	"context"
	"slices"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

func TestDiscover(t *testing.T) {
	l := newLab(t)
	net, netID, _ := l.network()
	a := l.run(labelled("zone", "a"), labelled("app", "web"), labelled("rack", "r7"),
		connected(net, &network.EndpointSettings{}), policy(container.RestartPolicyAlways))
	b := l.create(labelled("app", "web"), autoRemoved)
	own := l.create(labelled("app", "web"), labelled(labelOwn, "r1"))
	place := composed(l.mark, "web", "2")
	old := l.create(place)
	l.run(place)

	ids := func(m match) []string {
		t.Helper()
		if m.Label == nil {
			m.Label = map[string]string{}
		}
		m.Label[labelTest] = l.mark
		found, err := l.engine.discover(context.Background(), m)
		l.must(err)
		var ids []string
		for _, c := range found {
			ids = append(ids, c.ID)
		}
		slices.Sort(ids)
		return ids
	}
	want := func(what string, got []string, want ...string) {
		t.Helper()
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	compose := l.mark + "/web/2"
	want("all, in every state", ids(match{}), a.ID, b, compose)
	want("by label", ids(match{Label: map[string]string{"app": "web"}}), a.ID, b)
	want("by two labels", ids(match{Label: map[string]string{"app": "web", "zone": "a"}}), a.ID)
	want("by name", ids(match{Name: a.Name}), a.ID)
	want("by part of a name", ids(match{Name: a.Name[:4]}))
	want("by pattern", ids(match{Name: "?" + a.Name[1:len(a.Name)-2] + "*1"}), a.ID)
	want("by image without tag", ids(match{Image: "faultline-test/target"}), a.ID, b, compose)
	want("by image", ids(match{Image: targetImage(t, l.engine)}), a.ID, b, compose)
	want("by another tag", ids(match{Image: "faultline-test/target:other"}))
	want("by network", ids(match{Network: net}), a.ID)
	want("by network id", ids(match{Network: netID}), a.ID)
	want("by a network that is not there", ids(match{Network: "none-such"}))
	if slices.Contains(ids(match{}), own) {
		t.Error("a container of faultline's own is offered")
	}
	if c := l.place(compose); c.Attributes["id"] == old || c.Attributes["state"] != "running" {
		t.Errorf("of two containers in one place the one that does not run is offered: %+v", c)
	}

	if a.Attributes["zone"] != "a" || a.Attributes["network"] != net || a.Attributes["restart_policy"] != "always" ||
		a.Attributes["state"] != "running" || a.Attributes["auto_remove"] != false || a.Attributes["project"] != nil ||
		a.Incarnation != l.look(a.ID).incarnation() {
		t.Errorf("candidate %+v", a)
	}
	found, err := l.engine.discover(context.Background(), match{Label: map[string]string{labelTest: l.mark, "rack": "r7"}, ZoneLabel: "rack"})
	l.must(err)
	if len(found) != 1 || found[0].Attributes["zone"] != "r7" {
		t.Errorf("with another zone label: %+v", found)
	}
	offered := containers(l.engines)
	for _, c := range append(found, a, l.candidate(b), l.place(compose)) {
		for name := range c.Attributes {
			if !slices.ContainsFunc(offered.Attributes, func(d schema.Attribute) bool { return d.Name == name }) {
				t.Errorf("attribute %s is not declared", name)
			}
		}
	}
	if _, err := l.engine.discover(context.Background(), match{Name: "a["}); err == nil {
		t.Error("a malformed pattern is accepted")
	}
}

func (l *lab) place(id string) sdk.Candidate {
	l.t.Helper()
	found, err := l.engine.discover(context.Background(), match{Label: map[string]string{labelTest: l.mark}})
	l.must(err)
	for _, c := range found {
		if c.ID == id {
			return c
		}
	}
	l.t.Fatalf("%s is not among %v", id, found)
	return sdk.Candidate{}
}

func TestSameImage(t *testing.T) {
	const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, c := range []struct {
		want, have string
		same       bool
	}{
		{"redis", "redis", true},
		{"redis", "redis:7", true},
		{"redis", "docker.io/library/redis:7", true},
		{"redis:7", "redis", false},
		{"redis:latest", "redis", true},
		{"redis:7", "docker.io/library/redis:7", true},
		{"redis:7", "redis:6", false},
		{"redis", "example.com/redis:7", false},
		{"example.com:5000/shop/web", "example.com:5000/shop/web:1.2", true},
		{"redis" + digest, "redis" + digest, true},
		{"redis", "redis" + digest, true},
		{"redis" + digest, "redis:7", false},
		{"sha256:abc", "sha256:abc", true},
		{"redis", "sha256:abc", false},
		{"Not An Image", "redis", false},
	} {
		if got := sameImage(c.want, c.have); got != c.same {
			t.Errorf("want %q, have %q: %v", c.want, c.have, got)
		}
	}
}

func TestOnePerPlace(t *testing.T) {
	in := func(id, number string, created int64, state container.ContainerState, oneOff string) container.Summary {
		return container.Summary{ID: id, Created: created, State: state, Labels: map[string]string{
			labelProject: "shop", labelService: "web", labelNumber: number, labelOneOff: oneOff,
		}}
	}
	got := onePerPlace([]container.Summary{
		in("newer-down", "1", 3, "exited", "False"),
		in("older-up", "1", 1, "running", "False"),
		in("two-old", "2", 1, "exited", "False"),
		in("two-new", "2", 2, "exited", "False"),
		in("run-once", "1", 5, "running", "True"),
		{ID: "plain", Created: 9, State: "exited"},
		{ID: "plain-too", Created: 8, State: "exited"},
	})
	var ids []string
	for _, s := range got {
		ids = append(ids, s.ID)
	}
	if want := []string{"run-once", "older-up", "plain", "plain-too", "two-new"}; !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
}
