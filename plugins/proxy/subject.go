//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"github.com/faultline-go/faultline/plugins/internal/dockerhost"
	"github.com/faultline-go/faultline/plugins/internal/netns"
	"github.com/faultline-go/faultline/plugins/proxy/redirect"
	"github.com/faultline-go/faultline/sdk"
)

// subject is a container or process whose connections are led to a proxy.
type subject struct {
	Name    string           `json:"name"`
	PID     int              `json:"pid"` // of a container's first process
	Start   uint64           `json:"start"`
	Space   netns.ID         `json:"netns"`
	Ports   []uint16         `json:"ports"`
	Traffic redirect.Traffic `json:"traffic"`
}

func isListener(c sdk.Candidate) bool { return c.Attributes["listen"] != nil }

// numbers reads the ports.
func (l led) numbers() ([]uint16, error) {
	var out []uint16
	for _, text := range l.Ports {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("ports: %q is no port", text)
		}
		out = append(out, uint16(n))
	}
	return out, nil
}

// subjectOf finds out what a container or process is now.
func subjectOf(ctx context.Context, c sdk.Candidate, l led) (s subject, err error) {
	s = subject{Name: c.Name, Traffic: redirect.Traffic(l.Traffic)}
	switch s.Ports, err = l.numbers(); {
	case err != nil:
		return s, err
	case len(s.Ports) == 0:
		return s, errors.New("say with ports which connections of a container or process are led through the proxy")
	case os.Geteuid() != 0:
		return s, errors.New("to lead connections through the proxy takes root; without it, use a proxy_listener")
	}
	if slices.Contains(c.Interfaces, "process") {
		s.PID, err = processOf(c)
	} else {
		s.PID, err = firstProcess(ctx, c)
	}
	if err != nil {
		return s, err
	}
	_, s.Start, err = state(s.PID)
	if isGone(err) {
		return s, fmt.Errorf("process %d: %w", s.PID, sdk.ErrGone)
	}
	if err != nil {
		return s, err
	}
	n, err := netns.OfProcess(s.PID)
	if err != nil {
		return s, goneOr(err)
	}
	s.Space = n.ID
	return s, n.Close()
}

// goneOr says that the target is gone if that is why its namespace is.
func goneOr(err error) error {
	if errors.Is(err, netns.ErrGone) {
		return fmt.Errorf("%w: %w", err, sdk.ErrGone)
	}
	return err
}

// processOf reads a process that another plugin discovered.
func processOf(c sdk.Candidate) (pid int, err error) {
	id, ok := c.Attributes["pid"].(float64)
	start, other := c.Attributes["start_ticks"].(float64)
	if !ok || !other {
		return 0, fmt.Errorf("target %s: its attributes pid and start_ticks are needed to tell which process it is", c.ID)
	}
	letter, now, err := state(int(id))
	if isGone(err) || err == nil && (letter == "Z" || now != uint64(start)) {
		return 0, fmt.Errorf("process %.0f: %w", id, sdk.ErrGone)
	}
	return int(id), err
}

// dockerTime bounds a question to a Docker engine.
const dockerTime = 10 * time.Second

// firstProcess asks the Docker engine for a container's first process, which has to be
// one of this machine.
func firstProcess(ctx context.Context, c sdk.Candidate) (int, error) {
	id, _ := c.Attributes["id"].(string)
	if id == "" {
		return 0, fmt.Errorf("target %s: its attribute id is needed to tell which container it is", c.ID)
	}
	host, _ := c.Attributes["engine"].(string)
	options, err := dockerhost.Options(host, nil)
	if err != nil {
		return 0, err
	}
	engine, err := client.NewClientWithOpts(append(options, client.WithAPIVersionNegotiation())...)
	if err != nil {
		return 0, fmt.Errorf("use the Docker engine: %w", err)
	}
	defer engine.Close()
	ctx, cancel := context.WithTimeout(ctx, dockerTime)
	defer cancel()
	seen, err := engine.ContainerInspect(ctx, id)
	switch {
	case cerrdefs.IsNotFound(err):
		return 0, fmt.Errorf("container %s: %w", c.Name, sdk.ErrGone)
	case err != nil:
		return 0, fmt.Errorf("inspect container %s: %w", c.Name, err)
	case seen.State == nil || !seen.State.Running || seen.State.Pid == 0:
		return 0, fmt.Errorf("container %s does not run: %w", c.Name, sdk.ErrGone)
	}
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", seen.State.Pid))
	if err != nil || !strings.Contains(string(groups), id) {
		return 0, fmt.Errorf("container %s does not run on this machine: lead its clients to a proxy_listener instead", c.Name)
	}
	return seen.State.Pid, nil
}

func (s subject) incarnation() string { return fmt.Sprintf("pid %d started %d", s.PID, s.Start) }

// listener describes the proxy that a fault gets for the subject.
func (s subject) listener(f placement) listener {
	l := listener{Name: s.Name, Listen: fmt.Sprintf("%s, ports %s %v", s.Name, s.Traffic, s.Ports), Protocol: protocolTCP}
	if f.web != nil {
		l.Protocol = protocolHTTP
	}
	return l
}

// enter opens the network of the subject, if it still is what it was.
func (s subject) enter() (*netns.Namespace, error) {
	_, start, err := state(s.PID)
	if isGone(err) || err == nil && start != s.Start {
		return nil, fmt.Errorf("process %d of %s: %w", s.PID, s.Name, sdk.ErrGone)
	}
	if err != nil {
		return nil, err
	}
	n, err := netns.OfProcess(s.PID)
	if err != nil {
		return nil, goneOr(err)
	}
	if n.ID != s.Space {
		return nil, errors.Join(fmt.Errorf("process %d of %s has moved to another network", s.PID, s.Name), n.Close())
	}
	return n, nil
}

// lead opens a proxy in the network of a subject, gives it the fault, and only then
// leads connections to it.
func (p *proxies) lead(ctx context.Context, f placement, u undo) error {
	space, err := u.Subject.enter()
	if err != nil {
		return err
	}
	r, err := redirect.Open(ctx, space)
	if err != nil {
		return err
	}
	x := u.Listener.serve(r.Listener, r.Dial)
	x.redirect = r
	err = f.add(x, u.Fault)
	if err == nil {
		p.mu.Lock()
		p.open[u.key()] = x // a revert finds it from here on
		p.mu.Unlock()
		err = r.Lead(redirect.Spec{Table: tablePrefix + u.Fault, Ports: u.Subject.Ports, Traffic: u.Subject.Traffic})
	}
	if err != nil {
		p.mu.Lock()
		delete(p.open, u.key())
		p.mu.Unlock()
		err = errors.Join(err, x.close())
	}
	return err
}

// tablePrefix marks our tables.
const tablePrefix = "faultline-proxy-"

// end ends a fault of a proxy. One that the fault had to itself leads nobody any more:
// new connections go where they were going, and it ends with the last of the others.
func (p *proxies) end(key, fault string) (found bool, err error) {
	x := p.find(key)
	if x == nil {
		return false, nil
	}
	if x.redirect != nil {
		if err := x.redirect.Stop(); err != nil {
			return true, err
		}
	}
	if found, err = x.remove(fault); err != nil || x.redirect == nil {
		return found, err
	}
	p.mu.Lock()
	delete(p.open, key)
	p.mu.Unlock()
	err = x.relay.Drain()
	go func() {
		x.relay.Wait()
		if err := x.close(); err != nil {
			slog.Warn(err.Error())
		}
	}()
	return found, err
}
