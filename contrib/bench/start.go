package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faultline-go/faultline/engine/host"
	"github.com/faultline-go/faultline/sdk/wire"
)

const (
	manyPlugins = 10
	startRounds = 15
)

// plugins returns a folder of ten plugins, each a file of its own.
func (b *benches) plugins() (dir string, names []string, err error) {
	dir = filepath.Join(b.dir, "plugins")
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", nil, err
	}
	built, err := b.build("plugin")
	if err != nil {
		return "", nil, err
	}
	text, err := os.ReadFile(built)
	if err != nil {
		return "", nil, err
	}
	for i := range manyPlugins {
		name := fmt.Sprintf("bench%d", i)
		names = append(names, name)
		if err := os.WriteFile(filepath.Join(dir, host.Prefix+name), text, 0o755); err != nil {
			return "", nil, err
		}
	}
	return dir, names, nil
}

// plugin starts one of them.
func (b *benches) plugin(ctx context.Context) (*host.Plugin, error) {
	dir, names, err := b.plugins()
	if err != nil {
		return nil, err
	}
	return host.New(host.Options{PluginDirs: []string{dir}}).Start(ctx, names[0], wire.Configure{})
}

// build builds one of the bench's own programs, as `make build` does its own.
func (b *benches) build(program string) (string, error) {
	path := filepath.Join(b.dir, program)
	cmd := exec.Command("go", "build", "-trimpath", "-tags=grpcnotrace", "-ldflags=-s", "-o", path, "./contrib/bench/"+program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return path, nil
}

// start measures how long it takes until ten plugins have started and said what they
// are, all at once, beside as many bare starts of the same files, which end at once.
// Processor time is of engine and plugins together, and says more on a busy machine.
func (b *benches) start() ([]row, error) {
	dir, names, err := b.plugins()
	if err != nil {
		return nil, err
	}
	h := host.New(host.Options{PluginDirs: []string{dir}})
	started := func(name string) (func() error, error) {
		p, err := h.Start(context.Background(), name, wire.Configure{})
		if err != nil {
			return nil, err
		}
		return func() error { return p.Close(context.Background()) }, nil
	}
	bare := func(name string) (func() error, error) {
		cmd := exec.Command(filepath.Join(dir, host.Prefix+name))
		var exit *exec.ExitError
		if err := cmd.Run(); !errors.As(err, &exit) { // it is no command, and says so
			return nil, fmt.Errorf("%s: %w", cmd, err)
		}
		return func() error { return nil }, nil
	}
	var took, floor [startRounds]used
	for i := range startRounds { // in turns, so that both have the same weather
		if floor[i], err = all(names, bare); err != nil {
			return nil, err
		}
		if took[i], err = all(names, started); err != nil {
			return nil, err
		}
	}
	info, err := os.Stat(filepath.Join(dir, host.Prefix+names[0]))
	if err != nil {
		return nil, err
	}
	wall := func(u [startRounds]used) string {
		return ms(median(pick(u[:], func(u used) time.Duration { return u.wall })))
	}
	cpu := func(u [startRounds]used) string {
		return ms(median(pick(u[:], func(u used) time.Duration { return u.cpu })))
	}
	return []row{
		{fmt.Sprintf("%d plugins of %.0f MB started and described", manyPlugins, float64(info.Size())/1e6), wall(took), "bare starts: " + wall(floor), "< 150 ms"},
		{"  processor time, with their end", cpu(took), "bare starts: " + cpu(floor), ""},
	}, nil
}

// used is what something took.
type used struct{ wall, cpu time.Duration }

func pick(all []used, of func(used) time.Duration) (out []time.Duration) {
	for _, u := range all {
		out = append(out, of(u))
	}
	return out
}

// all starts all plugins at once, and ends them; wall is until they have started.
func all(names []string, start func(string) (func() error, error)) (u used, err error) {
	ends := make([]func() error, len(names))
	before := processorTime()
	began := time.Now()
	var g errgroup.Group
	for i, name := range names {
		g.Go(func() (err error) {
			ends[i], err = start(name)
			return err
		})
	}
	err = g.Wait()
	u.wall = time.Since(began)
	for _, end := range ends {
		if end != nil {
			g.Go(end)
		}
	}
	err = errors.Join(err, g.Wait())
	u.cpu = processorTime() - before
	return u, err
}

// processorTime is that of this process and of those that it has reaped.
func processorTime() (sum time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}
