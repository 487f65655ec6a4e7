package main

import (
	"context"
	"fmt"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"golang.org/x/sync/errgroup"

	"github.com/faultline-go/faultline/plugins/internal/incarnation"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
)

// life is the undo record of the faults that end a container's life: kill, stop
// and restart. They differ in how they end it; what it means to be ended, to have
// come back and to be put back is the same, and stands in this file.
type life struct {
	Engine     address  `json:"engine"`
	Container  string   `json:"container"`
	Name       string   `json:"name"`
	Compose    *compose `json:"compose,omitempty"`
	StartedAt  string   `json:"started_at"` // of the incarnation to end
	AutoRemove bool     `json:"auto_remove,omitempty"`
	// LateExit is the exit code that the fault itself gives the container, if it has
	// one of its own; 0: none.
	LateExit int `json:"late_exit,omitempty"`
	// Process is the container's main process, for a fault that goes past the engine.
	Process *incarnation.Incarnation `json:"process,omitempty"`
}

const (
	// settle is how long a request that nobody waits for any more may still sit in
	// the engine before it acts.
	settle = 10 * time.Second
	// engineTime bounds one dealing with the engine: killing waits for the container's
	// end, and for its own second try; and an engine with much to do on a small machine
	// was seen to take half a minute to start or inspect one container.
	engineTime = time.Minute
	// revertTime is the longest that putting one container back may take. It is part of
	// what a plan promises: at an engine that is slower still, the revert is tried again.
	revertTime = 30 * time.Second
	// atOnce is how many containers a fault works on beside each other: more only wait
	// for each other inside the engine.
	atOnce = 8
	// lookAgain is the pause between two looks while the engine works.
	lookAgain = 100 * time.Millisecond
)

// acceptsContainer is what all our faults work on.
func acceptsContainer() []schema.Accept {
	return []schema.Accept{{Interface: "container", Attributes: []string{"id"}}}
}

// prepareLife looks at a container whose life is to be ended.
func (e *engines) prepareLife(ctx context.Context, t sdk.PrepareTarget) (*engine, snapshot, sdk.Prepared[life], error) {
	var none sdk.Prepared[life]
	engine, err := e.current()
	if err != nil {
		return nil, snapshot{}, none, err
	}
	s, err := engine.target(ctx, t)
	if err != nil {
		return nil, snapshot{}, none, err
	}
	if err := s.living(t); err != nil {
		return nil, snapshot{}, none, err
	}
	return engine, s, sdk.Prepared[life]{
		Undo: life{
			Engine: engine.at, Container: s.ID, Name: s.Name, Compose: composeOf(s.Labels),
			StartedAt: s.StartedAt, AutoRemove: s.AutoRemove,
		},
		Incarnation: s.incarnation(),
		Resources:   []string{lifecycle(s.ID)},
	}, nil
}

// keepable refuses a container that the engine removes as soon as it ends.
func (s snapshot) keepable(t sdk.PrepareTarget) error {
	if s.AutoRemove && !t.AcceptIrreversible {
		return fmt.Errorf("container %s was started with --rm: the engine removes it when it ends and nothing can put it back: "+
			"start it without --rm, or accept that with irreversible = \"accept\"", s.Name)
	}
	return nil
}

// toEnd checks, right before the injection, that the container is the incarnation
// that Prepare saw.
func (e *engines) toEnd(ctx context.Context, u life) (*engine, snapshot, error) {
	engine, err := e.at(u.Engine)
	if err != nil {
		return nil, snapshot{}, err
	}
	s, found, err := engine.look(ctx, u.Container)
	if err != nil {
		return nil, snapshot{}, err
	}
	return engine, s, s.still(found, u.Name, u.StartedAt)
}

// endedBefore makes the target gone when the engine says that it was too late.
func (u life) endedBefore(err error) error {
	if cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err) {
		return fmt.Errorf("container %s ended before: %w (%w)", u.Name, sdk.ErrGone, err)
	}
	return err
}

// condition is where a container stands after a fault that may have ended it.
type condition int

const (
	intact     condition = iota // the incarnation that Prepare saw runs
	back                        // a newer incarnation runs
	down                        // the incarnation has ended, nothing came after it
	downAgain                   // a newer incarnation came and has ended too
	restarting                  // the restart policy waits before its next try
	removing                    // the engine is taking the container away
)

func (u life) condition(s snapshot) condition {
	same := s.StartedAt == u.StartedAt
	switch {
	case s.beingRemoved():
		return removing
	case s.Restarting:
		return restarting
	case s.Running && same:
		return intact
	case s.Running:
		return back
	case same:
		return down
	}
	return downAgain
}

// lived is how long the newest incarnation ran; zero when it runs still.
func (s snapshot) lived() time.Duration {
	from, to := when(s.StartedAt), when(s.FinishedAt)
	if from.IsZero() || to.Before(from) {
		return 0
	}
	return to.Sub(from)
}

// away is how long the container was down before its newest start.
func (s snapshot) away() (time.Duration, bool) {
	from, to := when(s.FinishedAt), when(s.StartedAt)
	if from.IsZero() || to.Before(from) {
		return 0, false
	}
	return to.Sub(from), true
}

// observeLife measures by event whether the incarnation has ended.
func (e *engines) observeLife(ctx context.Context, u life) (sdk.Effect, error) {
	engine, err := e.at(u.Engine)
	if err != nil {
		return sdk.Effect{}, err
	}
	s, found, err := engine.look(ctx, u.Container)
	if err != nil {
		return sdk.Effect{}, err
	}
	if found && u.condition(s) == intact {
		ended, err := u.ended()
		if err != nil || !ended {
			return sdk.Effect{Detail: "still runs since " + s.StartedAt}, err
		}
		return sdk.Effect{Bites: true, Detail: "its main process has ended, which the engine is about to notice"}, nil
	}
	if !found || !s.Running {
		next, replaced, err := engine.successor(ctx, u.Compose, u.Container)
		if err != nil {
			return sdk.Effect{}, err
		}
		if replaced {
			return sdk.Effect{Bites: true, Ended: true, Detail: "replaced by container " + next}, nil
		}
	}
	if !found {
		return sdk.Effect{Bites: true, Detail: "the container was removed"}, nil
	}
	return u.effect(s), nil
}

// ended says whether the main process is known to have ended, which the engine notices
// a little later when it was not its own doing.
func (u life) ended() (bool, error) {
	if u.Process == nil {
		return false, nil
	}
	alive, err := u.Process.Alive()
	return err == nil && !alive, err
}

// effect is what a look at a container that is not intact says.
func (u life) effect(s snapshot) sdk.Effect {
	f := sdk.Effect{Bites: true}
	switch u.condition(s) {
	case back:
		f.Ended = true
		f.Detail = "came back by itself at " + s.StartedAt
		if away, ok := s.away(); ok {
			f.Detail += fmt.Sprintf(" after %s", away.Round(time.Millisecond))
			f.Measures = map[string]float64{"down_s": away.Seconds()}
		}
		if s.RestartCount > 0 {
			f.Detail += fmt.Sprintf(" (restart policy %s, restart %d)", s.RestartPolicy, s.RestartCount)
		}
	case restarting:
		f.Detail = fmt.Sprintf("ended with exit code %d at %s, waits for its restart policy", s.ExitCode, s.FinishedAt)
	case downAgain:
		f.Detail = fmt.Sprintf("came back at %s and ended again with exit code %d at %s", s.StartedAt, s.ExitCode, s.FinishedAt)
	default:
		f.Detail = fmt.Sprintf("ended with exit code %d at %s", s.ExitCode, s.FinishedAt)
	}
	return f
}

// revertLife starts the container again if the fault has ended it and nothing has
// brought it back.
func (e *engines) revertLife(ctx context.Context, u life) (sdk.Reverted, error) {
	engine, err := e.at(u.Engine)
	if err != nil {
		return sdk.Reverted{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, revertTime)
	defer cancel()
	s, found, err := engine.noticed(ctx, u)
	if err != nil {
		return sdk.Reverted{}, err
	}
	if !found || !s.Running {
		next, replaced, err := engine.successor(ctx, u.Compose, u.Container)
		switch {
		case err != nil:
			return sdk.Reverted{}, err
		case replaced:
			return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "container " + next + " runs in its place"}, nil
		case !found:
			return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: u.removed()}, nil
		}
	}
	if r, done := u.alone(s, time.Now()); done {
		return r, nil
	}
	return engine.startAgain(ctx, u)
}

func (u life) removed() string {
	if u.AutoRemove {
		return "the container is gone: it was started with --rm, which was accepted"
	}
	return "the container is gone: somebody removed it"
}

// alone decides whether a container is to be left alone.
func (u life) alone(s snapshot, now time.Time) (sdk.Reverted, bool) {
	switch u.condition(s) {
	case intact:
		if s.Paused {
			return sdk.Reverted{Outcome: sdk.ForeignChange, Proof: "was not ended, but somebody else paused it"}, true
		}
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "runs since " + s.StartedAt + ", was not ended"}, true
	case back:
		if s.Paused {
			return sdk.Reverted{Outcome: sdk.ForeignChange, Proof: "was started again at " + s.StartedAt + ", then somebody else paused it"}, true
		}
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: "runs again since " + s.StartedAt}, true
	case downAgain:
		if u.endedByUs(s, now) {
			return sdk.Reverted{}, false
		}
		return sdk.Reverted{
			Outcome: sdk.ForeignChange,
			Proof:   fmt.Sprintf("was started again at %s and ended at %s (exit code %d), not by this fault", s.StartedAt, s.FinishedAt, s.ExitCode),
			Residue: s.lived() < settle && u.LateExit == 0, // it may have been
		}, true
	}
	return sdk.Reverted{}, false
}

// endedByUs says whether the fault's own request, acting late, may have ended the
// incarnation that came after the one it was meant for. That shows in how soon it
// ended, and in the exit code or, where the fault has none of its own (a stop asks the
// process to end as it likes), in that it was just now: later, nothing tells it from a
// stop of somebody else's, which is not ours to undo.
func (u life) endedByUs(s snapshot, now time.Time) bool {
	if s.lived() >= settle {
		return false
	}
	if u.LateExit != 0 {
		return s.ExitCode == u.LateExit
	}
	return now.Sub(when(s.FinishedAt)).Abs() < 2*settle
}

// calm looks at a container until the engine has finished what it is doing with it.
func (e *engine) calm(ctx context.Context, id string) (snapshot, bool, error) {
	for {
		s, found, err := e.look(ctx, id)
		if err != nil || !found || !s.Restarting && !s.beingRemoved() {
			return s, found, err
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			if s.Restarting {
				return s, found, fmt.Errorf("container %s does not stay up: its restart policy has tried %d times, last exit code %d", s.Name, s.RestartCount, s.ExitCode)
			}
			return s, found, fmt.Errorf("container %s is still being removed: %w", s.Name, ctx.Err())
		}
	}
}

// noticed is calm, and waits until the engine has noticed a death that was not its own
// doing.
func (e *engine) noticed(ctx context.Context, u life) (snapshot, bool, error) {
	for {
		s, found, err := e.calm(ctx, u.Container)
		if err != nil || !found || u.condition(s) != intact {
			return s, found, err
		}
		ended, err := u.ended()
		if err != nil || !ended {
			return s, found, err
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return s, found, fmt.Errorf("the main process of container %s has ended, but the engine says that it runs: %w", u.Name, ctx.Err())
		}
	}
}

// startAgain starts the container and looks whether it runs. Two at once may do
// so: to start a running container changes nothing.
func (e *engine) startAgain(ctx context.Context, u life) (sdk.Reverted, error) {
	err := e.ContainerStart(ctx, u.Container, container.StartOptions{})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return sdk.Reverted{}, e.at.explain("start container "+u.Name+" again", err)
	}
	s, found, err := e.calm(ctx, u.Container)
	switch {
	case err != nil:
		return sdk.Reverted{}, err
	case !found:
		return sdk.Reverted{Outcome: sdk.AlreadyGone, Proof: u.removed()}, nil
	case !s.Running:
		return sdk.Reverted{}, fmt.Errorf("container %s was started again but ended at once with exit code %d: see its log", u.Name, s.ExitCode)
	case s.StartedAt == u.StartedAt:
		return sdk.Reverted{}, fmt.Errorf("container %s runs, but not anew: it was about to end when it was started", u.Name)
	}
	return sdk.Reverted{Outcome: sdk.PutBack, Proof: "started again, runs since " + s.StartedAt}, nil
}

// scanLife finds containers that still are as the fault left them.
func (e *engines) scanLife(ctx context.Context, known []sdk.Known[life]) ([]sdk.Residue, error) {
	return scan(ctx, known, func(ctx context.Context, u life) (string, error) {
		engine, err := e.at(u.Engine)
		if err != nil {
			return "", err
		}
		s, found, err := engine.look(ctx, u.Container)
		if err != nil || !found || u.condition(s) != down {
			return "", err
		}
		if _, replaced, err := engine.successor(ctx, u.Compose, u.Container); err != nil || replaced {
			return "", err
		}
		return fmt.Sprintf("container %s is down since %s", u.Name, s.FinishedAt), nil
	})
}

// scan asks of each known undo record whether the system still matches it: what it
// finds, or nothing.
func scan[U any](ctx context.Context, known []sdk.Known[U], matches func(context.Context, U) (string, error)) ([]sdk.Residue, error) {
	found := make([]string, len(known))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inspectors)
	for i, k := range known {
		group.Go(func() (err error) {
			found[i], err = matches(ctx, k.Undo)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var out []sdk.Residue
	for i, k := range known {
		if found[i] != "" {
			out = append(out, sdk.Residue{Fault: k.Fault, Target: k.Target, Kind: sdk.ResidueMatches, Detail: found[i]})
		}
	}
	return out, nil
}
