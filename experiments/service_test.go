package experiments_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"github.com/faultline-go/faultline/plugins/docker/dockertest"
)

// service is what the experiments break: a gateway over three web containers in two
// zones and two regions, and the store that they need. A label tells it from the services
// of other tests; web-c has not opted in to anything.
type service struct {
	cli   *client.Client
	net   dockertest.Network
	image string
	name  string
	url   string
	ids   map[string]string // by role: web-a, web-b, web-c, store, gateway
	roles map[string]string // by id

	mu   sync.Mutex
	done map[string][]string // what happened to each container, by role
}

func newService(t *testing.T) *service {
	t.Helper()
	cli := dockertest.Client(t)
	image, net := dockertest.ShopImage(t), dockertest.NewNetwork(t)
	s := &service{cli: cli, net: net, image: image, name: net.Name, ids: map[string]string{}, roles: map[string]string{}, done: map[string][]string{}}
	for _, c := range []struct {
		role, publish string
		labels        map[string]string
		args          []string
	}{
		{role: "store", labels: map[string]string{"app": "store"}, args: []string{"store", "-listen", ":8080"}},
		{role: "web-a", labels: map[string]string{"app": "web", "zone": "a", "region": "east", "chaos-monkey": "opt-in"}},
		{role: "web-b", labels: map[string]string{"app": "web", "zone": "a", "region": "east", "chaos-monkey": "opt-in"}},
		{role: "web-c", labels: map[string]string{"app": "web", "zone": "c", "region": "west"}},
		{role: "gateway", publish: "8080", labels: map[string]string{"app": "gateway"}, args: []string{"gateway", "-listen", ":8080", "-backends", "web-a,web-b,web-c"}},
	} {
		if c.args == nil {
			c.args = []string{"web", "-name", c.role, "-listen", ":8080", "-store", "http://store:8080"}
		}
		c.labels["service"] = s.name
		x := dockertest.Run(t, dockertest.Container{
			Image: image, Args: c.args, Labels: c.labels, Network: net, Aliases: []string{c.role},
			Restart: container.RestartPolicyUnlessStopped, Publish: c.publish,
		})
		s.ids[c.role], s.roles[x.ID] = x.ID, c.role
		if c.publish != "" {
			s.url = "http://" + x.Address + "/checkout"
		}
	}
	s.await(t)
	s.follow(t)
	return s
}

// patience is how long a test waits for what takes moments on an idle machine.
const patience = 2 * time.Minute

// eventually polls until ok, or fails the test.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// await returns when the service serves.
func (s *service) await(t *testing.T) {
	t.Helper()
	eventually(t, "the service serves", func() bool {
		answer, err := http.Get(s.url)
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// follow notes what the engine says of the service's containers from now on.
func (s *service) follow(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	now := time.Now()
	said, failed := s.cli.Events(ctx, events.ListOptions{
		Since:   fmt.Sprintf("%d.%09d", now.Unix(), now.Nanosecond()),
		Filters: filters.NewArgs(filters.Arg("type", "container"), filters.Arg("label", "service="+s.name)),
	})
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case e := <-said:
				switch e.Action {
				case events.ActionDie, events.ActionStart, events.ActionPause, events.ActionUnPause:
					s.mu.Lock()
					role := s.roles[e.Actor.ID]
					s.done[role] = append(s.done[role], string(e.Action))
					s.mu.Unlock()
				}
			case err := <-failed:
				if ctx.Err() == nil {
					t.Errorf("follow the engine's events: %v", err)
				}
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-over
	})
}

// happened waits until the engine has said everything that is expected of each role, and
// fails when it says anything else.
func (s *service) happened(t *testing.T, want map[string]string) {
	t.Helper()
	look := func() map[string]string {
		s.mu.Lock()
		defer s.mu.Unlock()
		out := map[string]string{}
		for role, actions := range s.done {
			out[role] = strings.Join(actions, " ")
		}
		return out
	}
	same := func() bool {
		got := look()
		for role, actions := range want {
			if got[role] != actions {
				return false
			}
		}
		return len(got) == len(want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !same() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the engine says %v, want %v", look(), want)
		}
	}
}

// hit lists the roles to which anything happened, sorted.
func (s *service) hit() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for role := range s.done {
		out = append(out, role)
	}
	slices.Sort(out)
	return out
}

// running says whether every container runs, and none is paused.
func (s *service) running(t *testing.T) bool {
	t.Helper()
	for role, id := range s.ids {
		x, err := s.cli.ContainerInspect(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if !x.State.Running || x.State.Paused {
			t.Logf("%s is %s", role, x.State.Status)
			return false
		}
	}
	return true
}

// uses writes a short game day that uses an experiment of the catalogue, and returns its
// file. Its objective is low, and it measures seldom: these tests look at what is broken
// and put back, not at how well the service bears it, or the probe keeps time, on a busy
// machine.
func (s *service) uses(t *testing.T, name, head, inputs string) string {
	t.Helper()
	text := fmt.Sprintf(`
scenario "trial" {}
probe "http" "service" {
  url     = %q
  rate    = 2
  timeout = "2s"
}
steady_state "serving" {
  objective "available" {
    probe       = probe.http.service
    good        = sample.ok
    target      = 0.3
    judge       = "point"
    min_samples = 3
  }
}
experiment "trial" {
  source         = "catalog:%s"
  steady_state   = [steady_state.serving]
  baseline       = "3s"
  observe        = "3s"
  recover_within = "60s"
  %s
  inputs = {
%s
  }
}
limits { max_targets = 3 }
`, s.url, name, head, strings.ReplaceAll(inputs, "SERVICE", s.name))
	path := filepath.Join(t.TempDir(), "trial.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
