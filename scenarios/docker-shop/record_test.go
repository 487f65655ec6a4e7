package dockershop_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
)

// record is what the engine says has happened to some containers since it began: to
// their lives, and to their places in networks. The test that owns it reads it; events
// are written down when one of await and close runs.
type record struct {
	roles  map[string]string // container id → what the container is here
	events []events.Message  // in the engine's order

	stream <-chan events.Message
	failed <-chan error
}

// follow begins a record of the containers with these roles. Asking the engine later
// for what has happened would not do: it remembers the last 256 events only.
func follow(t *testing.T, cli *client.Client, roles map[string]string) *record {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stream, failed := cli.Events(ctx, events.ListOptions{
		Since:   strconv.FormatInt(began.Unix(), 10),
		Filters: filters.NewArgs(filters.Arg("type", string(events.ContainerEventType)), filters.Arg("type", string(events.NetworkEventType))),
	})
	// Other tests use the engine at the same time, and the engine waits for no
	// reader: every event is taken at once, and ours are kept.
	ours, ended, done := make(chan events.Message, 1024), make(chan error, 1), make(chan struct{})
	r := &record{roles: roles, stream: ours, failed: ended}
	go func() {
		defer close(done)
		for {
			select {
			case e := <-stream:
				if r.role(e) == "" || when(e).Before(began) {
					continue
				}
				select {
				case ours <- e:
				case <-ctx.Done():
				}
			case err := <-failed:
				ended <- err
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return r
}

// role says to which container an event has happened; empty: to another one.
func (r *record) role(e events.Message) string {
	if e.Type == events.NetworkEventType {
		return r.roles[e.Actor.Attributes["container"]]
	}
	return r.roles[e.Actor.ID]
}

func when(e events.Message) time.Time { return time.Unix(0, e.TimeNano) }

// await waits for an event that is not written down yet.
func (r *record) await(t *testing.T, role string, action events.Action) {
	t.Helper()
	late := time.After(longestDay)
	for {
		select {
		case e := <-r.stream:
			r.events = append(r.events, e)
			if r.role(e) == role && e.Action == action {
				return
			}
		case err := <-r.failed:
			t.Fatalf("follow the engine's events: %v", err)
		case <-late:
			t.Fatalf("the engine does not say %q of %s within %s; it says %s", action, role, longestDay, r)
		}
	}
}

// echoes are events that repeat a request. What came of it is another event.
var echoes = []events.Action{events.ActionKill, events.ActionStop, events.ActionRestart}

// happened lists what became of a container, "die", "start", "pause" …, and of its
// places in networks.
func (r *record) happened(role string) (life, networks []events.Message) {
	for _, e := range r.events {
		switch {
		case r.role(e) != role:
		case e.Type == events.NetworkEventType:
			networks = append(networks, e)
		case !slices.Contains(echoes, e.Action):
			life = append(life, e)
		}
	}
	return life, networks
}

// between lists what became of a container from one moment to another.
func (r *record) between(role string, from, to time.Time) []events.Message {
	life, _ := r.happened(role)
	return slices.DeleteFunc(life, func(e events.Message) bool { return when(e).Before(from) || when(e).After(to) })
}

// first is the first event of a kind that happened to a container.
func (r *record) first(role string, action events.Action) (events.Message, bool) {
	for _, e := range r.events {
		if r.role(e) == role && e.Action == action {
			return e, true
		}
	}
	return events.Message{}, false
}

// touched lists the roles to which anything happened at all, sorted.
func (r *record) touched() []string {
	roles := map[string]bool{}
	for _, e := range r.events {
		roles[r.role(e)] = true
	}
	return slices.Sorted(maps.Keys(roles))
}

func actions(all []events.Message) []string {
	out := []string{}
	for _, e := range all {
		out = append(out, string(e.Action))
	}
	return out
}

func (r *record) String() string {
	var out []string
	for _, e := range r.events {
		out = append(out, fmt.Sprintf("%s %s %s", when(e).Format("15:04:05.000"), e.Action, r.role(e)))
	}
	return fmt.Sprintf("%q", out)
}
