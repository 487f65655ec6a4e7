package helper

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
)

// Labels of every helper. The first is also what keeps helpers out of the targets that
// are discovered.
const (
	LabelRun    = "faultline.run"
	LabelFault  = "faultline.fault"
	LabelTarget = "faultline.target"
)

// Helper is a running helper: a program that takes orders on its input.
type Helper struct {
	ID     string
	In     io.WriteCloser
	Out    io.Reader
	engine *client.Client
	wire   types.HijackedResponse
}

// Start starts a helper beside a container, in its network and its processes' namespace,
// so that it ends with it. Without a target it is alone, in a network of its own.
func Start(ctx context.Context, engine *client.Client, target, run, fault string) (*Helper, error) {
	reference, err := load(ctx, engine)
	if err != nil {
		return nil, err
	}
	config := &container.Config{
		Image: reference, Entrypoint: []string{"/helper"}, User: "0", WorkingDir: "/",
		OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true,
		Labels: map[string]string{LabelRun: run, LabelFault: fault, LabelTarget: target},
	}
	host := &container.HostConfig{
		NetworkMode: "none", AutoRemove: true, ReadonlyRootfs: true,
		CapDrop: []string{"ALL"}, CapAdd: []string{"NET_ADMIN"}, SecurityOpt: []string{"no-new-privileges"},
		LogConfig: container.LogConfig{Type: "none"},
	}
	if target != "" {
		host.NetworkMode = container.NetworkMode("container:" + target)
		host.PidMode = container.PidMode("container:" + target)
	}
	made, err := engine.ContainerCreate(ctx, config, host, nil, nil, "")
	if err != nil {
		return nil, fmt.Errorf("make a helper container: %w", err)
	}
	h := &Helper{ID: made.ID, engine: engine}
	if err := h.attach(ctx); err != nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), removal)
		defer cancel()
		return nil, errors.Join(err, Remove(clean, engine, made.ID))
	}
	return h, nil
}

// removal is how long an engine may take to remove a helper.
const removal = 15 * time.Second

func (h *Helper) attach(ctx context.Context) (err error) {
	if h.wire, err = h.engine.ContainerAttach(ctx, h.ID, container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true}); err != nil {
		return fmt.Errorf("talk to the helper container: %w", err)
	}
	if err := h.engine.ContainerStart(ctx, h.ID, container.StartOptions{}); err != nil {
		h.wire.Close()
		return fmt.Errorf("start the helper container: %w", err)
	}
	out, in := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(in, io.Discard, h.wire.Reader)
		in.CloseWithError(errors.Join(io.EOF, err))
	}()
	h.In, h.Out = input{h.wire}, out
	return nil
}

// input is the helper's standard input; its end leaves the output open.
type input struct{ wire types.HijackedResponse }

func (i input) Write(p []byte) (int, error) { return i.wire.Conn.Write(p) }
func (i input) Close() error                { return i.wire.CloseWrite() }

// End waits until the helper, whose input has ended, is gone from its engine, and removes
// it if it does not go by itself.
func (h *Helper) End() error {
	defer h.wire.Close()
	ctx, cancel := context.WithTimeout(context.Background(), removal)
	defer cancel()
	gentle, stop := context.WithTimeout(ctx, removal/3)
	defer stop()
	gone, failed := h.engine.ContainerWait(gentle, h.ID, container.WaitConditionRemoved)
	select {
	case <-gone:
		return nil
	case err := <-failed:
		if cerrdefs.IsNotFound(err) {
			return nil
		}
	}
	return Remove(ctx, h.engine, h.ID)
}

// Of lists the helpers beside a container, whoever has started them.
func Of(ctx context.Context, engine *client.Client, target string) ([]string, error) {
	found, err := engine.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", LabelTarget+"="+target))})
	if err != nil {
		return nil, fmt.Errorf("list helper containers: %w", err)
	}
	var out []string
	for _, c := range found {
		out = append(out, c.ID)
	}
	return out, nil
}

// Remove ends a helper, and waits until it is gone: with it goes what belongs to it.
func Remove(ctx context.Context, engine *client.Client, id string) error {
	err := engine.ContainerRemove(ctx, id, container.RemoveOptions{Force: true})
	if err != nil && !cerrdefs.IsNotFound(err) && !cerrdefs.IsConflict(err) { // or it is being removed
		return fmt.Errorf("remove helper container %.12s: %w", id, err)
	}
	gone, failed := engine.ContainerWait(ctx, id, container.WaitConditionRemoved)
	select {
	case <-gone:
		return nil
	case err := <-failed:
		if err == nil || cerrdefs.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("wait for the end of helper container %.12s: %w", id, err)
	}
}

// load makes sure that the engine has the image.
func load(ctx context.Context, engine *client.Client) (reference string, err error) {
	version, err := engine.ServerVersion(ctx)
	if err != nil {
		return "", fmt.Errorf("ask the Docker engine what it is: %w", err)
	}
	if version.Os != "linux" {
		return "", fmt.Errorf("the Docker engine runs on %s: network faults are for Linux", version.Os)
	}
	program, err := Program(version.Arch)
	if err != nil {
		return "", err
	}
	layer, err := pack(program)
	if err != nil {
		return "", err
	}
	tag := tagOf(layer)
	reference = repository + ":" + tag
	if _, err := engine.ImageInspect(ctx, reference); err == nil {
		return reference, nil
	} else if !cerrdefs.IsNotFound(err) {
		return "", fmt.Errorf("look for image %s: %w", reference, err)
	}
	progress, err := engine.ImageImport(ctx, image.ImportSource{Source: bytes.NewReader(layer), SourceName: "-"}, repository,
		image.ImportOptions{Tag: tag, Message: "the helper of faultline-plugin-net", Platform: version.Os + "/" + version.Arch})
	if err != nil {
		return "", fmt.Errorf("send image %s: %w", reference, err)
	}
	defer progress.Close()
	report, err := io.ReadAll(progress) // it is there when the report ends
	if err != nil {
		return "", fmt.Errorf("send image %s: %w", reference, err)
	}
	if _, err := engine.ImageInspect(ctx, reference); err != nil {
		return "", fmt.Errorf("send image %s: %w; the engine says %s", reference, err, strings.TrimSpace(string(report)))
	}
	return reference, nil
}

// pack makes the image's only layer. Equal programs give equal bytes.
func pack(program []byte) ([]byte, error) {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	err := w.WriteHeader(&tar.Header{Name: "helper", Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = w.Write(program)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("pack the helper: %w", err)
	}
	return packed.Bytes(), nil
}
