//go:build linux

package main

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/plugins/docker/dockertest"
	"github.com/faultline-go/faultline/plugins/internal/nobody"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
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

// ssh that leads nowhere says so in one sentence, with what to do.
func TestUnreachableBySSH(t *testing.T) {
	plugintest.Need(t, "sshd", func() error { _, err := exec.LookPath("ssh"); return err })
	e := freshEngines(t)
	host := "ssh://nobody@" + nobody.Listens(t)
	if err := e.configure(t.Context(), settings{Host: host}); err != nil {
		t.Fatal(err)
	}
	_, err := containers(e).Discover(t.Context(), match{})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{host, "ssh has ended", "Connection refused", "check that the docker command works"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v; want %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
}
