package selftest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Labels of everything that a self-test makes on a Docker engine.
const (
	labelSelftest = "faultline.selftest"          // which self-test made it
	labelDeadline = "faultline.selftest.deadline" // Unix time from which on any self-test removes it
)

const imageRepository = "faultline-selftest"

// dock is what a self-test has on the Docker engine: an image, and a container for each
// case in a network of its own. Of its own, because cases end containers at the same
// moment, and an engine of version 20.10 comes to a standstill when several of them leave
// one user-defined network at once (two of libnetwork's locks are taken in opposite
// order); that is not what is tested here.
type dock struct {
	engine *dockerEngine
	token  string
	image  string

	mu   sync.Mutex
	free []*container
}

// openDock makes the image.
func openDock(ctx context.Context, program string, getenv func(string) string) (*dock, error) {
	engine, err := dialDocker(ctx, getenv)
	if err != nil {
		return nil, err
	}
	if err := static(program); err != nil {
		return nil, err
	}
	d := &dock{engine: engine, token: strings.ToLower(rand.Text()[:10])}
	d.sweep(ctx)
	layer, err := layerOf(program)
	if err != nil {
		return nil, err
	}
	changes := []string{`ENTRYPOINT ["/target","` + SleeperCommand + `","-max-life","` + targetLife.String() + `"]`}
	for _, k := range slices.Sorted(maps.Keys(d.labels())) {
		changes = append(changes, fmt.Sprintf("LABEL %s=%s", k, d.labels()[k]))
	}
	if err := engine.importImage(ctx, layer, imageRepository, d.token, changes); err != nil {
		return nil, err
	}
	d.image = imageRepository + ":" + d.token
	return d, nil
}

func (d *dock) labels() map[string]string {
	return map[string]string{
		labelSelftest: d.token,
		labelDeadline: strconv.FormatInt(time.Now().Add(6*time.Hour).Unix(), 10),
	}
}

// static refuses a program that an empty image cannot run.
func static(program string) error {
	f, err := elf.Open(program)
	if err != nil {
		return fmt.Errorf("look at %s: %w", program, err)
	}
	defer f.Close()
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return errors.New("this faultline is linked to libraries, so that no image can be made of it alone: build it with CGO_ENABLED=0")
	}
	return nil
}

// layerOf packs the program as the only file of an image.
func layerOf(program string) ([]byte, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("pack an image: %w", err)
	}
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	err = w.WriteHeader(&tar.Header{Name: "target", Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("pack an image: %w", err)
	}
	return packed.Bytes(), nil
}

// close removes what is left of this self-test.
func (d *dock) close(ctx context.Context) error {
	return d.removeAll(ctx, func(labels map[string]string) bool { return labels[labelSelftest] == d.token })
}

// sweep removes what self-tests that were killed have left, once it is past its
// deadline. That it fails is no reason not to begin.
func (d *dock) sweep(ctx context.Context) {
	_ = d.removeAll(ctx, func(labels map[string]string) bool {
		deadline, err := strconv.ParseInt(labels[labelDeadline], 10, 64)
		return err == nil && time.Now().Unix() > deadline
	})
}

func (d *dock) removeAll(ctx context.Context, which func(labels map[string]string) bool) error {
	filter, err := json.Marshal(map[string][]string{"label": {labelSelftest}})
	if err != nil {
		return err
	}
	var failed []error
	for _, kind := range []string{"/containers", "/networks", "/images"} {
		var all []struct {
			Id     string
			Labels map[string]string
		}
		list, query := "/json", url.Values{"filters": {string(filter)}, "all": {"1"}}
		if kind == "/networks" {
			list = ""
		}
		if err := d.engine.call(ctx, http.MethodGet, kind+list, query, nil, &all); err != nil {
			failed = append(failed, fmt.Errorf("list %s: %w", kind[1:], err))
			continue
		}
		for _, x := range all {
			if !which(x.Labels) {
				continue
			}
			query := url.Values{}
			if kind != "/networks" {
				query.Set("force", "1")
			}
			if err := d.engine.remove(ctx, kind+"/"+x.Id, query); err != nil {
				failed = append(failed, fmt.Errorf("remove %s %s: %w", strings.TrimSuffix(kind[1:], "s"), x.Id, err))
			}
		}
	}
	return errors.Join(failed...)
}

// take returns a container that an earlier case has left clean, or makes one: to start
// containers is the slowest that an engine does. What a case has broken too late to see
// it, the next one sees.
func (d *dock) take(ctx context.Context) (*container, error) {
	d.mu.Lock()
	n := len(d.free)
	if n == 0 {
		d.mu.Unlock()
		return d.start(ctx)
	}
	c := d.free[n-1]
	d.free = d.free[:n-1]
	d.mu.Unlock()
	return c, nil
}

// container is a container as a target. Its network has its name.
type container struct {
	dock    *dock
	name    string
	id      string
	network string // id
}

func (d *dock) start(ctx context.Context) (_ *container, err error) {
	c := &container{dock: d, name: "faultline-selftest-" + strings.ToLower(rand.Text()[:12])}
	var made struct{ Id string }
	body := map[string]any{"Name": c.name, "Driver": "bridge", "Labels": d.labels()}
	if err := d.engine.call(ctx, http.MethodPost, "/networks/create", nil, body, &made); err != nil {
		return nil, fmt.Errorf("make a network: %w", err)
	}
	c.network = made.Id
	body = map[string]any{
		"Image": d.image, "Labels": d.labels(),
		"HostConfig": map[string]any{"NetworkMode": c.name},
	}
	if err := d.engine.call(ctx, http.MethodPost, "/containers/create", url.Values{"name": {c.name}}, body, &made); err != nil {
		return nil, errors.Join(fmt.Errorf("make a container: %w", err), c.discard(context.WithoutCancel(ctx)))
	}
	c.id = made.Id
	err = d.engine.call(ctx, http.MethodPost, "/containers/"+c.id+"/start", nil, nil, nil)
	if err == nil {
		var ok bool
		var seen string
		if ok, seen, err = c.clean(ctx); err == nil && !ok {
			err = errors.New(seen)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a container: %w", err), c.discard(context.WithoutCancel(ctx)))
	}
	return c, nil
}

func (c *container) every() time.Duration { return 100 * time.Millisecond }

// clean asks the engine: it runs, is not paused, and is connected to its network.
func (c *container) clean(ctx context.Context) (bool, string, error) {
	i, err := c.dock.engine.inspect(ctx, c.id)
	if errors.Is(err, errNotFound) {
		return false, "the container is gone", nil
	}
	if err != nil {
		return false, "", err
	}
	_, connected := i.NetworkSettings.Networks[c.name]
	switch {
	case !i.State.Running || i.State.Paused:
		return false, "the container is " + i.State.Status, nil
	case !connected:
		return false, "the container is not connected to its network", nil
	}
	return true, "the container is " + i.State.Status + " and connected", nil
}

// remove gives a clean container to the next case.
func (c *container) remove(ctx context.Context) error {
	if ok, _, err := c.clean(ctx); ok && err == nil {
		c.dock.mu.Lock()
		defer c.dock.mu.Unlock()
		c.dock.free = append(c.dock.free, c)
		return nil
	}
	return c.discard(ctx)
}

func (c *container) discard(ctx context.Context) error {
	if c.id != "" {
		if err := c.dock.engine.removeContainer(ctx, c.id); err != nil {
			return fmt.Errorf("remove container %s: %w", c.name, err)
		}
	}
	if err := c.dock.engine.remove(ctx, "/networks/"+c.network, nil); err != nil {
		return fmt.Errorf("remove network %s: %w", c.name, err)
	}
	return nil
}
