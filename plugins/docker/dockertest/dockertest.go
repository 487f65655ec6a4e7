// Package dockertest gives tests real containers on the machine's own Docker
// engine, without an image registry: images are made from programs that are at
// hand, a static build of the shop and the machine's Redis server.
//
//	net := dockertest.NewNetwork(t)
//	web := dockertest.Run(t, dockertest.Container{
//		Image: dockertest.ShopImage(t), Args: []string{"store", "-listen", ":8080"},
//		Network: net, Aliases: []string{"store"}, Labels: map[string]string{"app": "store"},
//	})
//
// Whatever a test makes bears the labels below and a name of its own, is removed
// when the test ends, also when it fails, and is then looked for: a container or
// network that is left fails the test. What a killed test program left behind is
// removed by a later one, when it is past its deadline. Images stay, to be used
// again; their tags are hashes of their content.
package dockertest

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/faultline-go/faultline/sdk/plugintest"
)

// Labels of everything made here.
const (
	LabelRun      = "faultline.test.run"      // which test program
	LabelTest     = "faultline.test.name"     // which test
	LabelDeadline = "faultline.test.deadline" // Unix time after which anybody may remove it
)

// maxAge is how long a thing may exist before it counts as left behind. It is
// beyond the time that `go test` gives a test program by default.
const maxAge = 30 * time.Minute

// engineTimeout bounds one dealing with the engine, on a busy machine.
const engineTimeout = 3 * time.Minute

// run is this test program.
var run = rand.Text()

// Client returns a client of the Docker engine that the environment names, or
// the default one, which speaks the engine's version of the API. A test without
// an engine is skipped, or fails where FAULTLINE_REQUIRE names docker.
func Client(t testing.TB) *client.Client {
	t.Helper()
	cli, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatalf("make a client of the Docker engine: %v", err)
	}
	plugintest.Need(t, "docker", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), engineTimeout)
		defer cancel()
		_, err := cli.Ping(ctx)
		return err
	})
	// The first cleanup to be registered is the last to run: after the removal
	// of everything the test makes, and before its client is closed.
	t.Cleanup(func() { cli.Close() })
	if _, again := watched.LoadOrStore(t, true); !again {
		t.Cleanup(func() {
			watched.Delete(t)
			for _, left := range Leftovers(t, cli) {
				t.Errorf("left on the Docker engine: %s", left)
			}
		})
	}
	sweepOnce.Do(func() { sweep(t, cli) })
	return cli
}

var (
	watched   sync.Map // tests whose leftovers will be looked for
	sweepOnce sync.Once
)

// labels returns what marks a thing as made for t, and the given labels.
func labels(t testing.TB, more map[string]string) map[string]string {
	all := map[string]string{
		LabelRun:      run,
		LabelTest:     t.Name(),
		LabelDeadline: strconv.FormatInt(time.Now().Add(maxAge).Unix(), 10),
	}
	for name, value := range more {
		all[name] = value
	}
	return all
}

// uniqueName returns a name that nobody else uses.
func uniqueName(role string) string {
	return fmt.Sprintf("faultline-test-%s-%s", role, rand.Text()[:10])
}
