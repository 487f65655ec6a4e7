package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/faultline-go/faultline/plugins/internal/nobody"
	"github.com/faultline-go/faultline/sdk"
)

func TestResolve(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		in   settings
		env  map[string]string
		want address
		err  string
	}{
		{name: "nothing said", want: address{Host: client.DefaultDockerHost}},
		{name: "environment", env: map[string]string{"DOCKER_HOST": "unix:///e.sock"}, want: address{Host: "unix:///e.sock"}},
		{
			name: "scenario before environment", in: settings{Host: "tcp://h:1"}, env: map[string]string{"DOCKER_HOST": "unix:///e.sock"},
			want: address{Host: "tcp://h:1"},
		},
		{
			name: "TLS by environment", in: settings{Host: "tcp://h:1"}, env: map[string]string{"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"},
			want: address{"tcp://h:1", "/certs/ca.pem", "/certs/cert.pem", "/certs/key.pem"},
		},
		{
			name: "TLS by environment, usual folder", in: settings{Host: "tcp://h:1"}, env: map[string]string{"DOCKER_TLS_VERIFY": "1", "HOME": "/home/u"},
			want: address{"tcp://h:1", "/home/u/.docker/ca.pem", "/home/u/.docker/cert.pem", "/home/u/.docker/key.pem"},
		},
		{
			name: "files become absolute", in: settings{Host: "tcp://h:1", TLSCA: "ca", TLSCert: "c", TLSKey: "/k"},
			want: address{"tcp://h:1", filepath.Join(here, "ca"), filepath.Join(here, "c"), "/k"},
		},
		{name: "no address", in: settings{Host: "docker.sock"}, err: "is no address"},
		{name: "ssh", in: settings{Host: "ssh://u@h:2222/run/d.sock"}, want: address{Host: "ssh://u@h:2222/run/d.sock"}},
		{name: "ssh with a password", in: settings{Host: "ssh://u:secret@h"}, err: "password"},
		{name: "half a certificate", in: settings{Host: "tcp://h:1", TLSCert: "c"}, err: "belong together"},
		{name: "TLS on a socket", in: settings{Host: "unix:///s", TLSCA: "c"}, err: "takes no TLS files"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.in.resolve(func(k string) string { return c.env[k] })
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

// Everything that talks to an engine that is not there says so in one sentence,
// with what to do; and no Revert or Scan takes it for "nothing left to do".
func TestUnreachable(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead.sock")
	closeOnly, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	closeOnly.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := closeOnly.Close(); err != nil {
		t.Fatal(err)
	}
	free := nobody.Listens(t)
	for host, want := range map[string][]string{
		"unix://" + dir + "/none.sock": {"there is no such socket", "start the Docker daemon", "DOCKER_HOST"},
		"unix://" + dead:               {"nobody listens on the socket", "start the Docker daemon"},
		"tcp://" + free:                {"nobody answers there", "listens on that address"},
	} {
		e := freshEngines(t)
		ctx := context.Background()
		if err := e.configure(ctx, settings{Host: host}); err != nil {
			t.Fatal(err)
		}
		at := address{Host: host}
		target := sdk.PrepareTarget{Candidate: sdk.Candidate{ID: "c1", Name: "web", Attributes: map[string]any{"id": "c1"}}}
		ended := life{Engine: at, Container: "c1", Name: "web"}
		stands := paused{Engine: at, Container: "c1", Name: "web"}
		cut := connection{kept: kept{Engine: at, Container: "c1", Name: "web"}}
		for what, call := range map[string]func() error{
			"discover":          func() error { _, err := containers(e).Discover(ctx, match{}); return err },
			"prepare":           func() error { _, err := kill(e).Prepare(ctx, target, byEngine); return err },
			"inject":            func() error { return kill(e).Inject(ctx, byEngine, ended) },
			"observe":           func() error { _, err := kill(e).Observe(ctx, byEngine, ended); return err },
			"revert kill":       func() error { _, err := kill(e).Revert(ctx, ended); return err },
			"revert pause":      func() error { _, err := pause(e).Revert(ctx, stands); return err },
			"revert disconnect": func() error { _, err := disconnect(e).Revert(ctx, cut); return err },
			"scan": func() error {
				_, err := kill(e).Scan(ctx, []sdk.Known[life]{{Fault: "f", Target: "t", Undo: ended}})
				return err
			},
			"scan disconnect": func() error {
				_, err := disconnect(e).Scan(ctx, []sdk.Known[connection]{{Fault: "f", Target: "t", Undo: cut}})
				return err
			},
		} {
			err := call()
			if err == nil {
				t.Errorf("%s on %s: no error", what, host)
				continue
			}
			for _, part := range append(want, host) {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: %v, want %q", what, err, part)
				}
			}
			if errors.Is(err, sdk.ErrGone) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", what, err)
			}
		}
		if found, err := kill(e).Scan(ctx, nil); err != nil || len(found) != 0 {
			t.Errorf("a scan for nothing: %v, %v", found, err)
		}
	}
}

func TestExplainPermission(t *testing.T) {
	a := address{Host: "unix:///run/docker.sock"}
	x, err := a.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer x.Client.Close()
	denied := client.WithDialContext(func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)}
	})
	transport := &http.Transport{}
	c, err := client.NewClientWithOpts(client.WithHTTPClient(&http.Client{Transport: transport}), client.WithHost(a.Host), denied)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Ping(context.Background())
	got := a.explain("list containers", err).Error()
	if !strings.Contains(got, "permission denied on the socket") || !strings.Contains(got, `"docker"`) {
		t.Errorf("got %s", got)
	}
}

// An engine that accepts and never answers does not hold up a look for ever.
func TestEngineThatDoesNotAnswer(t *testing.T) {
	silent, err := net.Listen("unix", filepath.Join(t.TempDir(), "silent.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = kill(freshEngines(t)).Revert(ctx, life{Engine: address{Host: "unix://" + silent.Addr().String()}, Container: "c1"})
	if err == nil || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("got %v", err)
	}
}
