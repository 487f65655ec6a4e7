//go:build linux

package main

import (
	"strings"
	"testing"

	"github.com/faultline-go/faultline/plugins/docker/dockertest"
	"github.com/faultline-go/faultline/sdk/plugintest"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Engines elsewhere, by ssh and by TCP with TLS: a helper beside the target does it.
func TestRemoteEngines(t *testing.T) {
	hasHelper(t)
	for name, at := range map[string]func(*testing.T, *schema.Candidate){
		"ssh": func(t *testing.T, c *schema.Candidate) { c.Attributes["engine"] = dockertest.SSH(t) },
		"TLS": func(t *testing.T, c *schema.Candidate) {
			s := dockertest.TLS(t)
			c.Attributes["engine"], c.Attributes["engine_tls_ca"] = s.Host, s.CA
			c.Attributes["engine_tls_cert"], c.Attributes["engine_tls_key"] = s.Cert, s.Key
		},
	} {
		t.Run(name, func(t *testing.T) {
			target := newContainer(t)
			at(t, &target)
			const typ = "net_partition"
			config := map[string]any{"from": []string{"0.0.0.0/0"}}
			p := plugintest.Client(t, plugin(), plugintest.WithSettings(map[string]any{"via": "helper"}))
			u := inject(t, p, typ, config, target)
			if is, err := unreachable(target); !is || err != nil {
				t.Errorf("the fault does not bite: %v", err)
			}
			if e := observe(t, p, typ, config, u); !e.Bites {
				t.Errorf("observed %+v", e)
			}
			reverted, err := p.Revert(t.Context(), wire.Revert{Lease: lease(t), Type: typ, By: "test", Targets: u})
			if err != nil || len(reverted) != 1 || reverted[0].Outcome != wire.OutcomeReverted {
				t.Fatalf("reverted %+v, %v", reverted, err)
			}
			if is, _ := unreachable(target); is {
				t.Error("it bites after it was reverted")
			}
			if left := helpersOf(t, dockertest.Client(t), target.ID); len(left) > 0 {
				t.Errorf("helpers are left: %v", left)
			}
		})
	}
	t.Run("TLS without a certificate", func(t *testing.T) {
		target := newContainer(t)
		s := dockertest.TLS(t)
		target.Attributes["engine"], target.Attributes["engine_tls_ca"] = s.Host, s.CA
		p := plugintest.Client(t, plugin(), plugintest.WithSettings(map[string]any{"via": "helper"}))
		prepared, err := p.Prepare(t.Context(), wire.Prepare{Type: "net_partition", Config: []byte(`{}`), Targets: []schema.Candidate{target}})
		if err != nil || len(prepared) != 1 || !strings.Contains(prepared[0].Err, "certificate") {
			t.Errorf("prepared %+v, %v; want that the engine lets nobody in", prepared, err)
		}
	})
}
