package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/docker/docker/client"

	"github.com/faultline-go/faultline/plugins/internal/dockerhost"
)

// explain makes one clear sentence of what went wrong while talking to the engine:
// what was attempted, which engine, and, when it cannot be reached, what to do.
func (a address) explain(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", doing, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: the Docker engine at %s did not answer in time: %w", doing, a.Host, err)
	case client.IsErrConnectionFailed(err), a.left(err):
		return &unreachable{doing: doing, at: a, cause: err}
	}
	return fmt.Errorf("%s: %s: %w", doing, "the Docker engine refused", err)
}

// left says whether ssh has ended instead of leading to the engine.
func (a address) left(err error) bool {
	_, said := dockerhost.Said(err)
	return dockerhost.SSH(a.Host) && said
}

// unreachable is the error for an engine that is not there, or not ours to talk to.
type unreachable struct {
	doing string
	at    address
	cause error
}

func (u *unreachable) Unwrap() error { return u.cause }

const otherHost = `name another engine with host in the plugin "docker" block or with DOCKER_HOST`

func (u *unreachable) Error() string {
	why, todo := u.diagnose()
	return fmt.Sprintf("%s: cannot reach the Docker engine at %s: %s: %s", u.doing, u.at.Host, why, todo)
}

func (u *unreachable) diagnose() (why, todo string) {
	path, local := strings.CutPrefix(u.at.Host, "unix://")
	if !local {
		if said, ok := dockerhost.Said(u.cause); ok && dockerhost.SSH(u.at.Host) {
			return "ssh has ended: " + said, "check that the docker command works there when ssh is called without anybody to ask, or " + otherHost
		}
		if text := u.cause.Error(); strings.Contains(text, "tls") || strings.Contains(text, "TLS") || strings.Contains(text, "x509") {
			return "TLS failed: " + text, `check tls_ca, tls_cert and tls_key in the plugin "docker" block`
		}
		return "nobody answers there", "check that the daemon runs and listens on that address, or " + otherHost
	}
	_, err := os.Stat(path)
	switch {
	case errors.Is(u.cause, fs.ErrPermission), errors.Is(err, fs.ErrPermission):
		return "permission denied on the socket", `run as root or as a member of the socket's group (usually "docker")`
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such socket", "start the Docker daemon, or " + otherHost
	}
	return "nobody listens on the socket", "start the Docker daemon, or " + otherHost
}
