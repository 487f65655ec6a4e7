package dockertest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
)

// shopPatience bounds how long the shop's containers may take until they serve.
const shopPatience = 3 * time.Minute

// Shop is the shop of scenarios/docker-shop on the real engine.
type Shop struct {
	// Name tells this shop from others on the engine: the value of the label
	// "shop" of its containers, and of the scenario's variable of that name.
	Name       string
	GatewayURL string
	Network    Network
	Gateway    Running
	Webs       []Running // of zone a, b and c
	Store      Running
}

// service is one service of scenarios/docker-shop/compose.yaml; a test compares
// the two.
type service struct {
	name    string // also its alias in the network
	redis   bool   // runs the Redis image, else the shop's
	args    []string
	labels  map[string]string
	publish string
}

// shopServices lists the services in the order in which they start.
func shopServices() []service {
	services := []service{{
		name: "store", redis: true,
		args:   []string{"--save", "", "--appendonly", "no", "--protected-mode", "no"},
		labels: map[string]string{"app": "store"},
	}}
	for _, zone := range []string{"a", "b", "c"} {
		name := "web-" + zone
		services = append(services, service{
			name:   name,
			args:   []string{"web", "-name", name, "-listen", ":8080", "-store", "redis://store:6379"},
			labels: map[string]string{"app": "web", "zone": zone},
		})
	}
	return append(services, service{
		name:    "gateway",
		args:    []string{"gateway", "-listen", ":8080", "-backends", "web-a,web-b,web-c"},
		labels:  map[string]string{"app": "gateway"},
		publish: "8080",
	})
}

// StartShop starts the shop and returns when each web container has answered a
// checkout through the gateway. gatewayFlags, such as -retry=false, are added to
// the gateway's command. The test is skipped without an engine or Redis.
func StartShop(t testing.TB, gatewayFlags ...string) *Shop {
	t.Helper()
	Client(t)
	redisImage, shopImage := RedisImage(t), ShopImage(t)
	net := NewNetwork(t)
	shop := &Shop{Name: net.Name, Network: net}
	for _, s := range shopServices() {
		c := Container{
			Image: shopImage, Args: s.args, Labels: maps.Clone(s.labels),
			Network: net, Aliases: []string{s.name},
			Restart: container.RestartPolicyUnlessStopped,
			Publish: s.publish,
		}
		c.Labels["shop"] = shop.Name
		if s.redis {
			c.Image = redisImage
		}
		if s.publish != "" {
			c.Args = append(c.Args, gatewayFlags...)
		}
		running := Run(t, c)
		switch s.labels["app"] {
		case "store":
			shop.Store = running
		case "web":
			shop.Webs = append(shop.Webs, running)
		case "gateway":
			shop.Gateway = running
			shop.GatewayURL = "http://" + running.Address
		}
	}
	shop.waitForEveryInstance(t)
	return shop
}

// Variables returns a value for each variable of the docker-shop scenario. The
// target is lower than the scenario's own: a test shares its machine with others, and
// when that is busy the shop's timeouts, of a quarter of a second and up, do what they
// are there for. A shop that does not withstand a fault misses this one, too.
func (s *Shop) Variables() map[string]string {
	return map[string]string{"gateway": s.GatewayURL, "shop": s.Name, "target": "0.95", "rate": "50"}
}

func (s *Shop) waitForEveryInstance(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), shopPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	seen := map[string]bool{}
	for {
		instance, err := checkout(ctx, s.GatewayURL)
		if err == nil {
			seen[instance] = true
			if len(seen) == len(s.Webs) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("wait for the shop's web containers: %d of %d answer; the last checkout: %v", len(seen), len(s.Webs), err)
		}
	}
}

// checkout buys a mug and returns the name of the instance that sold it.
func checkout(ctx context.Context, gateway string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, gateway+"/checkout", nil)
	if err != nil {
		return "", err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var body struct{ Instance, Error string }
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		return "", fmt.Errorf("status %s: %w", response.Status, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %s: %s", response.Status, body.Error)
	}
	return body.Instance, nil
}
