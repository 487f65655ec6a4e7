package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/client"

	"github.com/faultline-go/faultline/plugins/internal/dockerhost"
)

// settings are the arguments of the scenario's `plugin "docker"` block.
type settings struct {
	Host    string `hcl:"host,optional" doc:"Address of the Docker engine, unix:///path, tcp://host:port or ssh://user@host; default: DOCKER_HOST, else the standard socket."`
	TLSCA   string `hcl:"tls_ca,optional" doc:"File with the certificate authority that signed the engine's certificate."`
	TLSCert string `hcl:"tls_cert,optional" doc:"File with the client certificate."`
	TLSKey  string `hcl:"tls_key,optional" doc:"File with the client certificate's key."`

	ZoneLabel   string `hcl:"zone_label,optional" default:"zone" doc:"Label that says in which failure domain a container runs: its attribute zone."`
	RegionLabel string `hcl:"region_label,optional" default:"region" doc:"Label that says in which region a container runs: its attribute region."`
}

// address says how to reach an engine. It is part of every undo record and holds
// no secret: TLS material is named by file.
type address struct {
	Host string `json:"host"`
	CA   string `json:"tls_ca,omitempty"`
	Cert string `json:"tls_cert,omitempty"`
	Key  string `json:"tls_key,omitempty"`
}

// resolve turns settings into an address, with getenv for what they leave open.
// Files become absolute: a Revert may run in another folder.
func (s settings) resolve(getenv func(string) string) (address, error) {
	a := address{Host: s.Host, CA: s.TLSCA, Cert: s.TLSCert, Key: s.TLSKey}
	if a.Host == "" {
		a.Host = cmp.Or(getenv("DOCKER_HOST"), client.DefaultDockerHost)
	}
	scheme, rest, ok := strings.Cut(a.Host, "://")
	switch {
	case !ok || rest == "":
		return address{}, fmt.Errorf("docker host %q is no address: write unix:///path/to/docker.sock, tcp://host:port or ssh://user@host", a.Host)
	}
	if err := dockerhost.Check(a.Host); err != nil {
		return address{}, err
	}
	// As the docker command does: DOCKER_TLS_VERIFY switches TLS on, with the files
	// of DOCKER_CERT_PATH.
	if scheme == "tcp" && a.CA == "" && a.Cert == "" && a.Key == "" && getenv("DOCKER_TLS_VERIFY") != "" {
		dir := cmp.Or(getenv("DOCKER_CERT_PATH"), filepath.Join(getenv("HOME"), ".docker"))
		a.CA, a.Cert, a.Key = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	}
	if (a.Cert == "") != (a.Key == "") {
		return address{}, errors.New("tls_cert and tls_key belong together: set both or neither")
	}
	if scheme != "tcp" && scheme != "https" && (a.CA != "" || a.Cert != "") {
		return address{}, fmt.Errorf("docker host %q takes no TLS files: they are for tcp:// hosts", a.Host)
	}
	for _, file := range []*string{&a.CA, &a.Cert, &a.Key} {
		if *file == "" {
			continue
		}
		abs, err := filepath.Abs(*file)
		if err != nil {
			return address{}, fmt.Errorf("find TLS file %s: %w", *file, err)
		}
		*file = abs
	}
	return a, nil
}

// maxConnections bounds the idle connections kept to one engine. Above every
// fault's concurrency, so that no call of a large fault has to dial anew.
const maxConnections = 64

// dial makes a client of the engine. It does not talk to it yet; the API version
// is agreed with the first request.
func (a address) dial() (*engine, error) {
	transport := &http.Transport{
		MaxIdleConns:        maxConnections,
		MaxIdleConnsPerHost: maxConnections,
		IdleConnTimeout:     30 * time.Second,
	}
	options, err := dockerhost.Options(a.Host, transport)
	if err != nil {
		return nil, err
	}
	options = append(options, client.WithAPIVersionNegotiation(), client.WithUserAgent("faultline"))
	if a.CA != "" || a.Cert != "" {
		options = append(options, client.WithTLSClientConfig(a.CA, a.Cert, a.Key))
	}
	c, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, fmt.Errorf("use the Docker engine at %s: %w", a.Host, err)
	}
	return &engine{Client: c, at: a, plugs: make(chan struct{}, 1)}, nil
}

// engine is a client of one Docker engine. Its own methods explain their errors;
// those of the embedded client do not.
type engine struct {
	*client.Client
	at address

	// plugs has room for one: whoever connects or disconnects a container has it. An
	// engine of version 20.10 can come to a standstill when several containers leave one
	// user-defined network at the same moment: the end of one endpoint
	// (processEndpointDelete) and the clearing of names (getSvcRecords and its like) take
	// libnetwork's locks in opposite order, and from then on every inspect of these
	// containers waits for ever. Connections are quick; one after the other they cost a
	// fault on many containers little.
	plugs chan struct{}
}

// turn waits until it is the caller's turn to connect or disconnect a container.
func (e *engine) turn(ctx context.Context) (over func(), err error) {
	select {
	case e.plugs <- struct{}{}:
		return func() { <-e.plugs }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a turn at the networks of the Docker engine at %s: %w", e.at.Host, context.Cause(ctx))
	}
}

// engines are the engines this process has talked to: the one of the settings, and
// those that undo records name.
type engines struct {
	mu      sync.Mutex
	chosen  *address
	open    map[address]*engine
	domains domains

	// notOurs holds the undo records of pauses that Inject found to be there already.
	// A pause does not say whose it is; as long as this process lives, it knows.
	notOurs sync.Map

	// ran holds the marks of docker_exec faults whose command has succeeded.
	ran sync.Map
}

func newEngines() *engines { return &engines{open: map[address]*engine{}} }

// configure takes the scenario's settings.
func (e *engines) configure(_ context.Context, s settings) error {
	a, err := s.resolve(os.Getenv)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.chosen = &a
	e.domains = domains{s.ZoneLabel, s.RegionLabel}
	return nil
}

// domains are the labels that say where a container runs.
type domains struct{ zone, region string }

// or fills in what a match leaves open.
func (m match) or(d domains) match {
	m.ZoneLabel = cmp.Or(m.ZoneLabel, d.zone)
	m.RegionLabel = cmp.Or(m.RegionLabel, d.region)
	return m
}

// named are the labels of the settings.
func (e *engines) named() domains {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.domains
}

// current is the engine of the settings.
func (e *engines) current() (*engine, error) {
	e.mu.Lock()
	chosen := e.chosen
	e.mu.Unlock()
	if chosen == nil {
		a, err := settings{}.resolve(os.Getenv)
		if err != nil {
			return nil, err
		}
		chosen = &a
	}
	return e.at(*chosen)
}

// at is the engine at an address.
func (e *engines) at(a address) (*engine, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if found, ok := e.open[a]; ok {
		return found, nil
	}
	made, err := a.dial()
	if err != nil {
		return nil, err
	}
	e.open[a] = made
	return made, nil
}

// close ends all connections.
func (e *engines) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var failed []error
	for a, x := range e.open {
		failed = append(failed, x.Client.Close())
		delete(e.open, a)
	}
	return errors.Join(failed...)
}
