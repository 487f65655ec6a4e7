package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"

	"github.com/faultline-go/faultline/plugins/docker/dockertest"
	"github.com/faultline-go/faultline/sdk"
)

// lab is a place on the real engine where a test has containers of its own. All of
// it is removed when the test ends. Tests with a lab run in parallel: most of their
// time they wait for the engine.
type lab struct {
	t       testing.TB
	engines *engines
	engine  *engine
	mark    string        // value of the label that every container of the test has
	made    *atomic.Int64 // containers so far
}

const labelTest = "faultline.test"

// labels mark what a test makes, and say when anybody may remove it.
func (l *lab) labels() map[string]string {
	return map[string]string{
		labelTest:                l.mark,
		dockertest.LabelDeadline: strconv.FormatInt(time.Now().Add(30*time.Minute).Unix(), 10),
	}
}

func newLab(t *testing.T) *lab {
	t.Helper()
	dockertest.Client(t) // needs the engine, and sweeps what killed test programs have left
	t.Parallel()
	return labOn(t)
}

func labOn(t testing.TB) *lab {
	t.Helper()
	e := freshEngines(t)
	x, err := e.current()
	if err != nil {
		t.Fatal(err)
	}
	return &lab{t: t, engines: e, engine: x, mark: t.Name() + "-" + rand.Text()[:10], made: new(atomic.Int64)}
}

// in is the lab as a subtest uses it.
func (l *lab) in(t testing.TB) *lab {
	sub := *l
	sub.t = t
	return &sub
}

// freshEngines are the engines of a process that knows nothing yet.
func freshEngines(t testing.TB) *engines {
	e := newEngines()
	t.Cleanup(func() {
		if err := e.close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

type option func(*container.Config, *container.HostConfig, *network.NetworkingConfig)

func labelled(key, value string) option {
	return func(c *container.Config, _ *container.HostConfig, _ *network.NetworkingConfig) { c.Labels[key] = value }
}

func composed(project, service, number string) option {
	return func(c *container.Config, _ *container.HostConfig, _ *network.NetworkingConfig) {
		c.Labels[labelProject], c.Labels[labelService], c.Labels[labelNumber] = project, service, number
	}
}

func policy(name container.RestartPolicyMode) option {
	return func(_ *container.Config, h *container.HostConfig, _ *network.NetworkingConfig) {
		h.RestartPolicy.Name = name
	}
}

func autoRemoved(_ *container.Config, h *container.HostConfig, _ *network.NetworkingConfig) {
	h.AutoRemove = true
}

func command(args ...string) option {
	return func(c *container.Config, _ *container.HostConfig, _ *network.NetworkingConfig) { c.Cmd = args }
}

func connected(net string, s *network.EndpointSettings) option {
	return func(_ *container.Config, h *container.HostConfig, n *network.NetworkingConfig) {
		h.NetworkMode = container.NetworkMode(net)
		n.EndpointsConfig = map[string]*network.EndpointSettings{net: s}
	}
}

// run starts a container and returns it as its target kind discovers it.
func (l *lab) run(options ...option) sdk.Candidate {
	l.t.Helper()
	id := l.create(options...)
	l.start(id)
	return l.candidate(id)
}

func (l *lab) create(options ...option) string {
	l.t.Helper()
	return l.make(l.t, options...)
}

// make creates a container that is removed when another test than the lab's ends.
func (l *lab) make(until testing.TB, options ...option) string {
	l.t.Helper()
	c := &container.Config{Image: targetImage(l.t, l.engine), Labels: l.labels()}
	h, n := &container.HostConfig{}, &network.NetworkingConfig{}
	h.NetworkMode = "none"
	for _, o := range options {
		o(c, h, n)
	}
	// A name that the engine has made up is not resolved on its networks.
	name := "faultline-test-" + hex.EncodeToString(hash(l.mark)[:4]) + "-" + strconv.FormatInt(l.made.Add(1), 10)
	made, err := l.engine.ContainerCreate(context.Background(), c, h, n, nil, name)
	if err != nil {
		l.t.Fatal(err)
	}
	until.Cleanup(func() { l.in(until).remove(made.ID) })
	return made.ID
}

func (l *lab) start(id string) {
	l.t.Helper()
	l.must(l.engine.ContainerStart(context.Background(), id, container.StartOptions{}))
	l.ready(id)
}

// ready waits until the container's newest incarnation takes signals.
func (l *lab) ready(id string) {
	l.t.Helper()
	var since string // the process may speak before the engine notes its start
	if s := l.look(id); !when(s.FinishedAt).IsZero() {
		since = s.FinishedAt
	}
	l.eventually("container "+brief(id)+" is ready", func() bool {
		logs, err := l.engine.ContainerLogs(context.Background(), id, container.LogsOptions{ShowStdout: true, Since: since})
		l.must(err)
		defer logs.Close()
		out, err := io.ReadAll(logs)
		l.must(err)
		return bytes.Contains(out, []byte("ready"))
	})
}

func (l *lab) remove(id string) {
	err := l.engine.ContainerRemove(context.Background(), id, container.RemoveOptions{Force: true})
	if err != nil && !cerrdefs.IsNotFound(err) && !strings.Contains(err.Error(), "already in progress") {
		l.t.Errorf("clean up: %v", err)
	}
}

func (l *lab) candidate(id string) sdk.Candidate {
	l.t.Helper()
	found, err := l.engine.discover(context.Background(), match{Label: map[string]string{labelTest: l.mark}, Name: l.look(id).Name})
	if err != nil {
		l.t.Fatal(err)
	}
	for _, c := range found {
		if c.Attributes["id"] == id {
			return c
		}
	}
	l.t.Fatalf("container %s is not among %v", id, found)
	return sdk.Candidate{}
}

func (l *lab) look(id string) snapshot {
	l.t.Helper()
	s, found, err := l.engine.look(context.Background(), id)
	if err != nil || !found {
		l.t.Fatalf("container %s: found %v, %v", id, found, err)
	}
	return s
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// eventually waits until something of the engine's own doing has happened.
func (l *lab) eventually(what string, happened func() bool) {
	l.t.Helper()
	deadline := time.NewTimer(3 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !happened() {
		select {
		case <-tick.C:
		case <-deadline.C:
			l.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// network makes a network. Its containers may ask for addresses in it: the prefix
// of its subnet is "10.213.7." or the like, one that nobody uses yet.
func (l *lab) network() (name, id, prefix string) {
	l.t.Helper()
	for range 20 {
		prefix = fmt.Sprintf("10.%d.%d.", 200+mathrand.IntN(50), mathrand.IntN(256))
		name = "faultline-test-" + rand.Text()[:10]
		made, err := l.engine.NetworkCreate(context.Background(), name, network.CreateOptions{
			Labels: l.labels(), IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: prefix + "0/24"}}},
		})
		if err != nil && strings.Contains(err.Error(), "overlaps") {
			continue
		}
		l.must(err)
		l.t.Cleanup(func() {
			if err := l.engine.NetworkRemove(context.Background(), made.ID); err != nil && !cerrdefs.IsNotFound(err) {
				l.t.Errorf("clean up: %v", err)
			}
		})
		return name, made.ID, prefix
	}
	l.t.Fatal("every subnet that was tried is taken")
	return "", "", ""
}

// resolve looks a name up from inside a container.
func (l *lab) resolve(from, name string) (string, bool) {
	l.t.Helper()
	ctx := context.Background()
	made, err := l.engine.ContainerExecCreate(ctx, from, container.ExecOptions{Cmd: []string{"/target", "resolve", name}, AttachStdout: true, Tty: true})
	l.must(err)
	a, err := l.engine.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{Tty: true})
	l.must(err)
	defer a.Close()
	out, err := io.ReadAll(a.Reader)
	l.must(err)
	state, err := l.engine.ContainerExecInspect(ctx, made.ID)
	l.must(err)
	return strings.TrimSpace(string(out)), state.ExitCode == 0
}

// prepared runs Prepare, and hands the undo record on as a journal would.
func prepared[C, U any](l *lab, f sdk.Fault[C, U], target sdk.Candidate, c C) U {
	l.t.Helper()
	p, err := f.Prepare(context.Background(), sdk.PrepareTarget{Candidate: target}, c)
	l.must(err)
	if p.Incarnation == "" || len(p.Resources) == 0 {
		l.t.Errorf("prepared without incarnation or resources: %+v", p)
	}
	return journalled(l.t, p.Undo)
}

func journalled[U any](t testing.TB, u U) (again U) {
	t.Helper()
	raw, err := json.Marshal(u)
	if err == nil {
		err = json.Unmarshal(raw, &again)
	}
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// injected runs Prepare and Inject.
func injected[C, U any](l *lab, f sdk.Fault[C, U], target sdk.Candidate, c C) U {
	l.t.Helper()
	u := prepared(l, f, target, c)
	l.must(f.Inject(context.Background(), c, u))
	return u
}

// reverts runs Revert as a fresh process would, and wants that outcome.
func reverts[C, U any](l *lab, fault func(*engines) sdk.Fault[C, U], u U, want sdk.Outcome) sdk.Reverted {
	l.t.Helper()
	r, err := fault(freshEngines(l.t)).Revert(context.Background(), u)
	late := false
	for try := 0; try < 3 && err != nil && strings.Contains(err.Error(), "did not answer in time"); try++ {
		// As an engine of ours does: once more. What Docker's has done meanwhile is done.
		late = want == sdk.PutBack
		r, err = fault(freshEngines(l.t)).Revert(context.Background(), u)
	}
	l.must(err)
	if r.Outcome != want && !(late && r.Outcome == sdk.AlreadyGone) {
		l.t.Errorf("revert: %+v, want %s", r, want)
	}
	if r.Proof == "" {
		l.t.Errorf("revert without a proof: %+v", r)
	}
	return r
}

func observes[C, U any](l *lab, f sdk.Fault[C, U], c C, u U, bites, ended bool) sdk.Effect {
	l.t.Helper()
	e, err := f.Observe(context.Background(), c, u)
	l.must(err)
	if e.Bites != bites || e.Ended != ended {
		l.t.Errorf("observed %+v, want bites %v, ended %v", e, bites, ended)
	}
	return e
}

// scans wants that many findings for the undo record.
func scans[C, U any](l *lab, fault func(*engines) sdk.Fault[C, U], u U, want int) {
	l.t.Helper()
	found, err := fault(freshEngines(l.t)).Scan(context.Background(), []sdk.Known[U]{{Fault: "f1", Target: "t1", Undo: u}})
	l.must(err)
	if len(found) != want {
		l.t.Errorf("scan: %+v, want %d findings", found, want)
	}
	for _, r := range found {
		if r.Fault != "f1" || r.Target != "t1" || r.Kind != sdk.ResidueMatches || r.Detail == "" {
			l.t.Errorf("scan: %+v", r)
		}
	}
}

// twice runs two reverts at once, in two processes' worth of state.
func twice[C, U any](l *lab, fault func(*engines) sdk.Fault[C, U], u U) {
	l.t.Helper()
	a, b := fault(freshEngines(l.t)), fault(freshEngines(l.t))
	var both sync.WaitGroup
	for _, f := range []sdk.Fault[C, U]{a, b} {
		both.Go(func() {
			r, err := f.Revert(context.Background(), u)
			if err != nil || r.Outcome != sdk.PutBack && r.Outcome != sdk.AlreadyGone {
				l.t.Errorf("one of two reverts: %+v, %v", r, err)
			}
		})
	}
	both.Wait()
}

var targetOnce struct {
	sync.Once
	name string
	err  error
}

// targetImage builds the test image from nothing but a static binary. It stays on
// the engine for the next time; its tag is the hash of its content.
func targetImage(t testing.TB, e *engine) string {
	t.Helper()
	targetOnce.Do(func() { targetOnce.name, targetOnce.err = buildTarget(e) })
	if targetOnce.err != nil {
		t.Fatal(targetOnce.err)
	}
	return targetOnce.name
}

func buildTarget(e *engine) (string, error) {
	dir, err := os.MkdirTemp("", "faultline-target-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(dir, "target"), "./testdata/target")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the target: %w\n%s", err, out)
	}
	program, err := os.ReadFile(filepath.Join(dir, "target"))
	if err != nil {
		return "", err
	}
	layer := archive("target", program)
	name := "faultline-test/target:" + hex.EncodeToString(hash(string(layer))[:8])
	if _, err := e.ImageInspect(context.Background(), name); err == nil {
		return name, nil
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Entrypoint": []string{"/target"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(hash(string(layer)))}},
	})
	if err != nil {
		return "", err
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return "", err
	}
	loaded, err := e.ImageLoad(context.Background(),
		bytes.NewReader(archive("config.json", config, "layer.tar", layer, "manifest.json", manifest)), client.ImageLoadWithQuiet(true))
	if err != nil {
		return "", err
	}
	defer loaded.Body.Close()
	_, err = io.Copy(io.Discard, loaded.Body)
	return name, err
}

// archive makes a tar of names and contents in turn.
func archive(parts ...any) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := 0; i < len(parts); i += 2 {
		b := parts[i+1].([]byte)
		if err := w.WriteHeader(&tar.Header{Name: parts[i].(string), Mode: 0o755, Size: int64(len(b))}); err != nil {
			panic(err)
		}
		if _, err := w.Write(b); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func hash(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}
