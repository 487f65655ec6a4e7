package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
		slow   bool // one of its like is tested always
	}{
		{typ: "docker_kill", bitten: isDown},
		{typ: "docker_stop", config: map[string]any{"timeout": "1s"}, bitten: isDown},
		{typ: "docker_pause", bitten: func(l *lab, id string) bool { return l.look(id).Paused }},
		{typ: "docker_disconnect", bitten: func(l *lab, id string) bool { return len(l.look(id).Networks) == 0 }},
		{typ: "docker_pause", config: map[string]any{"via": "crash"}, slow: true, bitten: isFrozen},
		{typ: "docker_limit", config: map[string]any{"cpus": 0.5, "processes": 40}, slow: true, bitten: func(l *lab, id string) bool {
			return limitsOf(l.look(id).Resources) != limits{}
		}},
		{typ: "docker_stress", config: map[string]any{"cpu": map[string]any{"cores": 1, "load": 10}}, slow: true, bitten: func(l *lab, id string) bool {
			return l.guests(id) > 0
		}},
		{typ: "docker_disk_fill", config: map[string]any{"size": "1MiB", "reserve": "1%"}, slow: true, bitten: func(l *lab, id string) bool {
			return l.guests(id) > 0
		}},
		{typ: "docker_exec", config: map[string]any{
			"command": makesFile.Command, "undo": makesFile.Undo, "check": makesFile.Check, "timeout": "20s",
		}, slow: true, bitten: func(l *lab, id string) bool { return l.has(id, "/broken") }},
	} {
		t.Run(c.typ, func(t *testing.T) {
			if c.slow {
				needTime(t)
			}
			l := labOn(t)
			net, _, prefix := l.network()
			var address atomic.Int64
			address.Store(10)
			kit := plugintest.Case{
				Plugin: plugin(l.engines), Type: c.typ, Config: c.config, StartsTarget: !c.slow, SameUndo: sameButMark,
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
			// What belongs to the container stays when it is started anew, and is put back then.
			if !slices.Contains([]string{"docker_disconnect", "docker_limit", "docker_exec"}, c.typ) {
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

// needTime skips what takes the engine minutes, unless it was asked for.
func needTime(t *testing.T) {
	t.Helper()
	plugintest.Need(t, "docker-conformance", func() error {
		if strings.Contains(os.Getenv(plugintest.RequireEnv), "docker-conformance") {
			return nil
		}
		return fmt.Errorf("the time: it takes minutes; name docker-conformance in %s to have it", plugintest.RequireEnv)
	})
	needRoot(t)
}

// sameButMark compares undo records that have a random mark each.
func sameButMark(a, b json.RawMessage) bool {
	mark := regexp.MustCompile(`"mark":"[^"]*"`)
	return bytes.Equal(mark.ReplaceAll(a, nil), mark.ReplaceAll(b, nil))
}

func isFrozen(l *lab, id string) bool {
	s := l.look(id)
	if !s.Running {
		return false
	}
	_, g, err := s.mainProcess()
	l.must(err)
	f, err := g.Freezer()
	l.must(err)
	frozen, err := f.Frozen()
	l.must(err)
	return frozen
}

// has looks for a file inside of a container, past the engine.
func (l *lab) has(id, file string) bool {
	l.t.Helper()
	s := l.look(id)
	if !s.Running {
		return false
	}
	_, err := os.Stat(fmt.Sprintf("/proc/%d/root%s", s.Pid, file))
	return err == nil
}

func isDown(l *lab, id string) bool { return !l.look(id).Running }
