package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"github.com/faultline-go/faultline/sdk"
)

// answerTime bounds calls that only look. A look at a container waits until the engine
// has finished what it is doing with it.
const answerTime = engineTime

// snapshot is what the engine says about a container at one moment.
type snapshot struct {
	ID     string
	Name   string
	Image  string
	Labels map[string]string

	Status     string // created, running, paused, restarting, removing, exited, dead
	Running    bool   // also while paused, and while it waits for its restart policy
	Paused     bool
	Restarting bool
	Pid        int
	ExitCode   int
	StartedAt  string // as the engine writes it: compared, and read only for texts
	FinishedAt string

	RestartPolicy string
	RestartCount  int
	AutoRemove    bool

	NetworkMode string
	Networks    map[string]*network.EndpointSettings
	MAC         string // asked for by the user

	Resources container.Resources
}

func snapshotOf(c container.InspectResponse) snapshot {
	s := snapshot{ID: c.ID, Name: strings.TrimPrefix(c.Name, "/"), RestartCount: c.RestartCount}
	if c.Config != nil {
		s.Image, s.Labels = c.Config.Image, c.Config.Labels
		//lint:ignore SA1019 engines before API 1.44 say the user's MAC address only here
		s.MAC = c.Config.MacAddress
	}
	if st := c.State; st != nil {
		s.Status, s.Running, s.Paused, s.Restarting = string(st.Status), st.Running, st.Paused, st.Restarting
		s.Pid, s.ExitCode, s.StartedAt, s.FinishedAt = st.Pid, st.ExitCode, st.StartedAt, st.FinishedAt
	}
	if h := c.HostConfig; h != nil {
		s.RestartPolicy, s.AutoRemove, s.NetworkMode = string(h.RestartPolicy.Name), h.AutoRemove, string(h.NetworkMode)
		s.Resources = h.Resources
	}
	if n := c.NetworkSettings; n != nil {
		s.Networks = n.Networks
	}
	return s
}

// look inspects a container by id. A container that does not exist is no error.
func (e *engine) look(ctx context.Context, id string) (s snapshot, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	c, err := e.ContainerInspect(ctx, id)
	if cerrdefs.IsNotFound(err) {
		return snapshot{}, false, nil
	}
	if err != nil {
		return snapshot{}, false, e.at.explain("inspect container "+brief(id), err)
	}
	return snapshotOf(c), true, nil
}

// incarnation names one life of the container, from a start to the next.
func (s snapshot) incarnation() string { return brief(s.ID) + " started " + s.StartedAt }

// beingRemoved says whether the engine is taking the container away.
func (s snapshot) beingRemoved() bool { return s.Status == "removing" || s.Status == "dead" }

// compose is a container's place in a Compose project: it survives a recreation,
// which gives a new container id.
type compose struct {
	Project string `json:"project"`
	Service string `json:"service"`
	Number  string `json:"number"`
}

const (
	labelProject = "com.docker.compose.project"
	labelService = "com.docker.compose.service"
	labelNumber  = "com.docker.compose.container-number"
	labelOneOff  = "com.docker.compose.oneoff"
)

// composeOf reads the Compose labels; nil for any other container. One made by
// `compose run` has no place of its own and shares its number with a real one.
func composeOf(labels map[string]string) *compose {
	c := compose{labels[labelProject], labels[labelService], labels[labelNumber]}
	if c.Project == "" || c.Service == "" || c.Number == "" || strings.EqualFold(labels[labelOneOff], "true") {
		return nil
	}
	return &c
}

func (c compose) String() string { return c.Project + "/" + c.Service + "/" + c.Number }

// logicalID is what stays the same when the container is started or made anew.
func logicalID(id string, labels map[string]string) string {
	if c := composeOf(labels); c != nil {
		return c.String()
	}
	return id
}

// successor finds a running container that has taken the place of the one with the
// given id.
func (e *engine) successor(ctx context.Context, c *compose, id string) (name string, found bool, err error) {
	if c == nil {
		return "", false, nil
	}
	next, err := e.inPlace(ctx, *c, false)
	if err != nil {
		return "", false, err
	}
	for _, n := range next {
		if n.ID != id && n.State == container.StateRunning {
			return nameOf(n), true, nil
		}
	}
	return "", false, nil
}

// inPlace lists the containers of a place in a Compose project.
func (e *engine) inPlace(ctx context.Context, c compose, all bool) ([]container.Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	found, err := e.ContainerList(ctx, container.ListOptions{All: all, Filters: filters.NewArgs(
		filters.Arg("label", labelProject+"="+c.Project),
		filters.Arg("label", labelService+"="+c.Service),
		filters.Arg("label", labelNumber+"="+c.Number),
	)})
	if err != nil {
		return nil, e.at.explain("list the containers of "+c.String(), err)
	}
	place := found[:0]
	for _, s := range found {
		if composeOf(s.Labels) != nil {
			place = append(place, s)
		}
	}
	return place, nil
}

// target looks at the container that a Prepare is about, which may have been made
// anew since it was discovered.
func (e *engine) target(ctx context.Context, t sdk.PrepareTarget) (snapshot, error) {
	id, _ := t.Attributes["id"].(string)
	if id == "" {
		id = t.ID
	}
	s, found, err := e.look(ctx, id)
	if err != nil || found {
		return s, err
	}
	if c := placeOf(t.Attributes); c != nil {
		next, err := e.inPlace(ctx, *c, true)
		if err != nil {
			return snapshot{}, err
		}
		for _, n := range newestFirst(next) {
			if s, found, err := e.look(ctx, n.ID); err != nil || found {
				return s, err
			}
		}
	}
	return snapshot{}, fmt.Errorf("container %s does not exist any more: %w", t.Name, sdk.ErrGone)
}

// placeOf reads the place in a Compose project from a candidate's attributes.
func placeOf(attributes map[string]any) *compose {
	var c compose
	c.Project, _ = attributes["project"].(string)
	c.Service, _ = attributes["service"].(string)
	c.Number, _ = attributes["number"].(string)
	if c.Project == "" || c.Service == "" || c.Number == "" {
		return nil
	}
	return &c
}

// living refuses a container that a fault has nothing to take from. One that ran
// when it was discovered has died by itself: it is gone.
func (s snapshot) living(t sdk.PrepareTarget) error {
	switch {
	case s.Paused:
		return fmt.Errorf("container %s is paused: unpause it first, or filter with candidate.state == \"running\"", s.Name)
	case s.Running && !s.Restarting:
		return nil
	}
	if state, _ := t.Attributes["state"].(string); state == "running" {
		return fmt.Errorf("container %s ran when it was discovered and is %s now: %w", s.Name, s.Status, sdk.ErrGone)
	}
	return fmt.Errorf("container %s is %s, not running: filter with candidate.state == \"running\"", s.Name, s.Status)
}

// still checks right before an injection that the container is the incarnation
// that Prepare saw, and that nobody has paused it.
func (s snapshot) still(found bool, name, startedAt string) error {
	if err := s.same(found, name, startedAt); err != nil {
		return err
	}
	if s.Paused {
		return fmt.Errorf("container %s was paused by somebody else: left alone", name)
	}
	return nil
}

// same checks only the first of it.
func (s snapshot) same(found bool, name, startedAt string) error {
	switch {
	case !found:
		return fmt.Errorf("container %s does not exist any more: %w", name, sdk.ErrGone)
	case s.StartedAt != startedAt:
		return fmt.Errorf("container %s was started anew at %s: %w", name, s.StartedAt, sdk.ErrGone)
	case !s.Running || s.Restarting:
		return fmt.Errorf("container %s is %s: %w", name, s.Status, sdk.ErrGone)
	}
	return nil
}

func nameOf(s container.Summary) string {
	if len(s.Names) == 0 {
		return brief(s.ID)
	}
	// A container that others link to has several names; its own has no second slash.
	for _, n := range s.Names {
		if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
			return n
		}
	}
	return strings.TrimPrefix(s.Names[0], "/")
}

// finish is the context of a call that changes something. Once sent, the engine
// carries it out whether we listen or not; if a lost lease made us stop listening,
// Revert would look while the change is still on its way and find nothing to put
// back. So the call is waited for, for as long as it may take.
func finish(ctx context.Context, longest time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), longest)
}

func brief(id string) string { return id[:min(12, len(id))] }

// lifecycle is the resource of faults that stop and start the container or its
// processes.
func lifecycle(id string) string { return "container:" + id + "/lifecycle" }

// when reads a moment as the engine writes it; zero for "never".
func when(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}
