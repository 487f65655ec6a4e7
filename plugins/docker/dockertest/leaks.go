package dockertest

import (
	"context"
	"strconv"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
)

// thing is a container or a network on the engine.
type thing struct {
	kind   string // "container" or "network"
	id     string
	name   string
	labels map[string]string
}

func (th thing) String() string { return th.kind + " " + th.name }

// remove takes the thing away, running or not, and waits until it is gone; one
// that is gone already is fine.
func (th thing) remove(ctx context.Context, cli *client.Client) error {
	var err error
	if th.kind == "network" {
		err = cli.NetworkRemove(ctx, th.id)
	} else {
		err = cli.ContainerRemove(ctx, th.id, container.RemoveOptions{Force: true, RemoveVolumes: true})
		if cerrdefs.IsConflict(err) { // the engine is at it: the container removes itself when it ends
			err = waitRemoved(ctx, cli, th.id)
		}
	}
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// waitRemoved waits until the engine has removed the container.
func waitRemoved(ctx context.Context, cli *client.Client, id string) error {
	removed, failed := cli.ContainerWait(ctx, id, container.WaitConditionRemoved)
	select {
	case <-removed:
		return nil
	case err := <-failed:
		return err
	}
}

// cleanUp removes the thing when the test ends.
func (th thing) cleanUp(t testing.TB, cli *client.Client) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), engineTimeout)
		defer cancel()
		if err := th.remove(ctx, cli); err != nil {
			t.Errorf("remove %s: %v", th, err)
		}
	})
}

// Leftovers names the containers and networks that this test has made and that
// still exist. Every test that uses Client is checked for them at its end.
func Leftovers(t testing.TB, cli *client.Client) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), engineTimeout)
	defer cancel()
	things, err := labelled(ctx, cli, LabelRun+"="+run, LabelTest+"="+t.Name())
	if err != nil {
		t.Errorf("look for what is left: %v", err)
	}
	var names []string
	for _, th := range things {
		names = append(names, th.String())
	}
	return names
}

// labelled lists the containers, then the networks, that bear all the labels.
func labelled(ctx context.Context, cli *client.Client, labels ...string) ([]thing, error) {
	args := filters.NewArgs()
	for _, label := range labels {
		args.Add("label", label)
	}
	var found []thing
	containers, err := cli.ContainerList(ctx, container.ListOptions{All: true, Filters: args})
	if err != nil {
		return nil, err
	}
	for _, c := range containers {
		name := c.ID
		if len(c.Names) > 0 {
			name = c.Names[0]
		}
		found = append(found, thing{"container", c.ID, name, c.Labels})
	}
	networks, err := cli.NetworkList(ctx, network.ListOptions{Filters: args})
	if err != nil {
		return nil, err
	}
	for _, n := range networks {
		found = append(found, thing{"network", n.ID, n.Name, n.Labels})
	}
	return found, nil
}

// sweep removes what test programs that were killed have left, once it is past
// its deadline. Another program may be doing the same.
func sweep(t testing.TB, cli *client.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), engineTimeout)
	defer cancel()
	things, err := labelled(ctx, cli, LabelDeadline)
	if err != nil {
		t.Logf("look for what earlier tests left: %v", err)
		return
	}
	for _, th := range things {
		deadline, err := strconv.ParseInt(th.labels[LabelDeadline], 10, 64)
		if err != nil || time.Now().Unix() < deadline {
			continue
		}
		t.Logf("an earlier test left %s: removing it", th)
		if err := th.remove(ctx, cli); err != nil {
			t.Logf("remove %s: %v", th, err)
		}
	}
}
