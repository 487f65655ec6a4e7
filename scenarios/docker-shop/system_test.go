package dockershop_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/client"

	"github.com/faultline-go/faultline/plugins/docker/dockertest"
)

// patience is how long a test waits for what takes moments on an idle machine.
const patience = 2 * time.Minute

// system is what a game day breaks, as the engine sees it: the shop's containers, and
// a bystander that looks much like one of them and is nobody's target.
type system struct {
	cli    *client.Client
	shop   *dockertest.Shop
	before map[string]standing // by role
	*record
}

const bystander = "bystander"

// newSystem starts a shop, and records what the engine does to it from now on.
func newSystem(t *testing.T, gatewayFlags ...string) *system {
	t.Helper()
	s := &system{cli: dockertest.Client(t), shop: dockertest.StartShop(t, gatewayFlags...)}
	web, err := s.cli.ContainerInspect(t.Context(), s.shop.Webs[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	other := dockertest.Run(t, dockertest.Container{
		Image: web.Config.Image, Args: web.Config.Cmd, Network: s.shop.Network, Aliases: []string{bystander},
		Labels: map[string]string{"app": "web", "zone": "a", "shop": s.shop.Name + "-other"},
	})
	s.record = follow(t, s.cli, map[string]string{
		s.shop.Gateway.ID: "gateway", s.shop.Store.ID: "store", other.ID: bystander,
		s.shop.Webs[0].ID: "web-a", s.shop.Webs[1].ID: "web-b", s.shop.Webs[2].ID: "web-c",
	})
	s.before = s.look(t)
	return s
}

// variables are the arguments that point the game day at this shop.
func (s *system) variables() []string {
	var args []string
	for name, value := range s.shop.Variables() {
		args = append(args, "-var", name+"="+value)
	}
	return args
}

// close completes the record: whatever the engine says after an event of our own
// making does not belong to the game day.
func (s *system) close(t *testing.T) {
	t.Helper()
	for id, role := range s.roles {
		if role == bystander {
			if err := s.cli.ContainerRename(t.Context(), id, s.shop.Name+"-end"); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.await(t, bystander, events.ActionRename)
	s.events = s.events[:len(s.events)-1]
}

// standing is how the engine describes a container.
type standing struct {
	Status     string
	Paused     bool
	StartedAt  time.Time
	FinishedAt time.Time // of its last life; zero in the first
	Networks   string    // each network with the container's names in it
}

// look asks the engine how every container stands, by role.
func (s *system) look(t *testing.T) map[string]standing {
	t.Helper()
	out := map[string]standing{}
	for id, role := range s.roles {
		info, err := s.cli.ContainerInspect(t.Context(), id)
		if err != nil {
			t.Fatalf("look at %s: %v", role, err)
		}
		now := standing{
			Status: string(info.State.Status), Paused: info.State.Paused,
			StartedAt: moment(t, info.State.StartedAt), FinishedAt: moment(t, info.State.FinishedAt),
		}
		for _, name := range slices.Sorted(maps.Keys(info.NetworkSettings.Networks)) {
			n := info.NetworkSettings.Networks[name]
			now.Networks += fmt.Sprintf("%s (%s) as %q; ", name, n.NetworkID, slices.Sorted(slices.Values(n.Aliases)))
		}
		out[role] = now
	}
	return out
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// restored checks that every container runs, with the networks and names that it had
// before. Those that were started anew are named; no other was.
func (s *system) restored(t *testing.T, anew ...string) {
	t.Helper()
	for role, now := range s.look(t) {
		was := s.before[role]
		if now.Status != string(container.StateRunning) || now.Paused {
			t.Errorf("%s is %s (paused: %t), want it running", role, now.Status, now.Paused)
		}
		if now.Networks != was.Networks {
			t.Errorf("%s has the networks\n\t%s\nand had\n\t%s", role, now.Networks, was.Networks)
		}
		switch started := now.StartedAt.After(was.StartedAt); {
		case started && !slices.Contains(anew, role):
			t.Errorf("%s was started anew at %s", role, now.StartedAt)
		case !started && slices.Contains(anew, role):
			t.Errorf("%s runs since %s: it was not started anew", role, now.StartedAt)
		}
	}
}

// eventually tries until it works.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Errorf("%s within %s: %v", what, patience, err)
			return
		}
	}
}
