// Package dockerhost finds the way to a Docker engine, for every plugin the same: by a
// socket of this machine, by TCP with or without TLS, or by ssh.
package dockerhost

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/docker/cli/cli/connhelper"
	"github.com/docker/docker/client"
)

// SSH says whether an engine is reached by ssh.
func SSH(host string) bool { return strings.HasPrefix(host, "ssh://") }

// Check refuses an address by ssh that is none: ssh://user@host:port/path/to/docker.sock,
// where all but the host may be missing.
func Check(host string) error {
	if !SSH(host) {
		return nil
	}
	_, err := bySSH(host)
	return err
}

// Said is what ssh said when it ended, in one line, if that is what an error is about.
func Said(err error) (text string, ok bool) {
	_, said, ok := strings.Cut(err.Error(), "has exited with ")
	if !ok {
		return "", false
	}
	if _, words, ok := strings.Cut(said, "stderr="); ok {
		said = words
	}
	return strings.Join(strings.Fields(said), " "), true
}

// bySSH runs the user's own ssh command, and there `docker system dial-stdio`, for each
// connection: as the docker command does, with the keys, the agent and the configuration
// that the user has. Nobody is there to answer a question of ssh's.
func bySSH(host string) (*connhelper.ConnectionHelper, error) {
	helper, err := connhelper.GetConnectionHelperWithSSHOpts(host, []string{"-o", "BatchMode=yes"})
	if err != nil {
		return nil, fmt.Errorf("docker host %q: %w", host, err)
	}
	return helper, nil
}

// Options lead a client to an engine; TLS is the caller's. An empty host is the one that
// the environment names, else the standard socket. transport is the client's own, or nil.
func Options(host string, transport *http.Transport) ([]client.Opt, error) {
	var options []client.Opt
	if host == "" && SSH(os.Getenv(client.EnvOverrideHost)) {
		host = os.Getenv(client.EnvOverrideHost)
	}
	if SSH(host) && transport == nil {
		transport = &http.Transport{MaxIdleConns: 6, IdleConnTimeout: 30 * time.Second}
	}
	if transport != nil {
		options = append(options, client.WithHTTPClient(&http.Client{Transport: transport, CheckRedirect: client.CheckRedirect}))
	}
	switch {
	case host == "":
		return append(options, client.FromEnv), nil
	case !SSH(host):
		return append(options, client.WithHost(host)), nil
	}
	helper, err := bySSH(host)
	if err != nil {
		return nil, err
	}
	return append(options, client.WithHost(helper.Host), client.WithDialContext(func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := helper.Dialer(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return lastWords{conn}, nil
	}), func(*client.Client) error {
		transport.Proxy = nil // what goes by ssh is in no proxy's way
		return nil
	}), nil
}

// lastWords is a connection by ssh whose writes say what ssh said when it had ended before
// them, as reads do; else, by chance, an error would be a broken pipe's and say nothing.
type lastWords struct{ net.Conn }

func (c lastWords) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		if _, why := c.Conn.Read(make([]byte, 1)); why != nil {
			err = why
		}
	}
	return n, err
}

// CloseWrite and CloseRead end one direction, which streams of the engine need.
func (c lastWords) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

func (c lastWords) CloseRead() error {
	half, ok := c.Conn.(interface{ CloseRead() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseRead()
}
