package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"go.uber.org/goleak"

	"github.com/faultline-go/faultline/plugins/docker/dockertest"
	"github.com/faultline-go/faultline/plugins/internal/pressure"
	"github.com/faultline-go/faultline/sdk/plugintest"
	"github.com/faultline-go/faultline/sdk/schema"
)

func TestMain(m *testing.M) {
	pressure.Main() // the test binary also plays the pressure processes
	plugintest.Main(leakChecked{m}, plugin(newEngines()))
}

// leakChecked fails a test run that leaves goroutines behind.
type leakChecked struct{ *testing.M }

func (m leakChecked) Run() int {
	code := m.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// Every fault keeps what the contract of a fault promises, also when the plugin is
// killed at any point of it. A restart has nothing to put back and is tested beside
// it: the kit wants to see a fault stay until it is reverted.
func TestFaultsKeepTheirPromises(t *testing.T) {
	dockertest.Client(t)
	for _, c := range []struct {
		typ    string
		config map[string]any
		bitten func(l *lab, id string) bool
	}{
		{typ: "docker_kill", bitten: isDown},
		{typ: "docker_stop", config: map[string]any{"timeout": "1s"}, bitten: isDown},
		{typ: "docker_pause", bitten: func(l *lab, id string) bool { return l.look(id).Paused }},
		{typ: "docker_disconnect", bitten: func(l *lab, id string) bool { return len(l.look(id).Networks) == 0 }},
	} {
		t.Run(c.typ, func(t *testing.T) {
			l := labOn(t)
			net, _, prefix := l.network()
			var address atomic.Int64
			address.Store(10)
			kit := plugintest.Case{
				Plugin: plugin(l.engines), Type: c.typ, Config: c.config, StartsTarget: true,
				Parallel: 8, // the engine makes them wait
				Target: func(t testing.TB) schema.Candidate {
					return l.in(t).run(connected(net, &network.EndpointSettings{
						Aliases:    []string{"store"},
						IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: prefix + strconv.FormatInt(address.Add(1), 10)},
					}))
				},
				Bitten: func(target schema.Candidate) (bool, error) { return c.bitten(l, target.ID), nil },
				State: func(target schema.Candidate) (string, error) {
					s := l.look(target.ID)
					text := fmt.Sprintf("%s %s", s.Status, s.RestartPolicy)
					for _, name := range slices.Sorted(maps.Keys(s.Networks)) {
						n := s.Networks[name]
						text += fmt.Sprintf("; %s: %s as %v", name, n.IPAddress, slices.Sorted(slices.Values(n.Aliases)))
					}
					return text, nil
				},
				Destroy: func(_ testing.TB, target schema.Candidate) { l.remove(target.ID) },
			}
			// A disconnection stays when the container is started anew, and is put back then.
			if c.typ != "docker_disconnect" {
				kit.Replace = func(t testing.TB, target schema.Candidate) {
					at := l.in(t)
					at.must(l.engine.ContainerRestart(context.Background(), target.ID, container.StopOptions{Signal: "SIGKILL"}))
					at.ready(target.ID)
				}
			}
			plugintest.Fault(t, kit)
		})
	}
}

func isDown(l *lab, id string) bool { return !l.look(id).Running }
