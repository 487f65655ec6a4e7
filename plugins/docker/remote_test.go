//go:build linux

package main

import (
	"context"
	"testing"

	"github.com/faultline-go/faultline/plugins/docker/dockertest"
	"github.com/faultline-go/faultline/sdk"
)

// Engines elsewhere, by ssh and by TCP with TLS: containers are found, hit and put back,
// and the undo record alone leads there again.
func TestRemoteEngines(t *testing.T) {
	for name, of := range map[string]func(*testing.T) settings{
		"ssh": func(t *testing.T) settings { return settings{Host: dockertest.SSH(t)} },
		"TLS": func(t *testing.T) settings {
			s := dockertest.TLS(t)
			return settings{Host: s.Host, TLSCA: s.CA, TLSCert: s.Cert, TLSKey: s.Key}
		},
	} {
		t.Run(name, func(t *testing.T) { // not parallel: the way by ssh is in the environment
			dockertest.Client(t)
			ctx := context.Background()
			here := labOn(t)
			ran := here.run()
			far := freshEngines(t)
			s := of(t)
			here.must(far.configure(ctx, s))
			found, err := containers(far).Discover(ctx, match{Label: map[string]string{labelTest: here.mark}})
			if err != nil || len(found) != 1 || found[0].ID != ran.ID || found[0].Attributes["engine"] != s.Host {
				t.Fatalf("found %+v, %v", found, err)
			}
			f := pause(far)
			p, err := f.Prepare(ctx, sdk.PrepareTarget{Candidate: found[0]}, pauseConfig{})
			here.must(err)
			here.must(f.Inject(ctx, pauseConfig{}, p.Undo))
			if s := here.look(ran.ID); !s.Paused {
				t.Errorf("after the pause: %+v", s)
			}
			r, err := pause(freshEngines(t)).Revert(ctx, p.Undo)
			if err != nil || r.Outcome != sdk.PutBack {
				t.Errorf("reverted %+v, %v", r, err)
			}
			if s := here.look(ran.ID); s.Paused || !s.Running {
				t.Errorf("after the revert: %+v", s)
			}
		})
	}
}
