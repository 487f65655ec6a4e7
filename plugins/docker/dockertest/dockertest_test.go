package dockertest

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
)

// present reports whether the engine still has the container.
func present(t *testing.T, cli *client.Client, id string) bool {
	t.Helper()
	_, err := cli.ContainerInspect(context.WithoutCancel(t.Context()), id)
	return err == nil
}

func TestRunAnswersOnItsPublishedPortAndIsRemoved(t *testing.T) {
	cli := Client(t)
	var store Running
	t.Run("inner", func(t *testing.T) {
		store = Run(t, Container{
			Image: ShopImage(t), Args: []string{"store", "-listen", ":8080"}, Publish: "8080",
			Labels: map[string]string{"app": "store"}, Restart: container.RestartPolicyAlways,
		})
		eventually(t, "the store answers", func() error {
			response, err := http.Get("http://" + store.Address + "/healthz")
			if err == nil {
				response.Body.Close()
			}
			return err
		})
		info, err := cli.ContainerInspect(t.Context(), store.ID)
		if err != nil {
			t.Fatal(err)
		}
		if info.Config.Labels["app"] != "store" || info.HostConfig.RestartPolicy.Name != container.RestartPolicyAlways {
			t.Errorf("labels %v, restart policy %q", info.Config.Labels, info.HostConfig.RestartPolicy.Name)
		}
		if left := Leftovers(t, cli); len(left) != 1 || !strings.Contains(left[0], store.Name) {
			t.Errorf("leftovers before the end: %q, want the container", left)
		}
	})
	if present(t, cli, store.ID) {
		t.Errorf("container %s outlives its test", store.Name)
	}
}

func TestPausedContainersAreRemoved(t *testing.T) {
	cli := Client(t)
	var store Running
	t.Run("inner", func(t *testing.T) {
		store = Run(t, Container{Image: ShopImage(t), Args: []string{"store"}})
		if err := cli.ContainerPause(t.Context(), store.ID); err != nil {
			t.Fatal(err)
		}
	})
	if present(t, cli, store.ID) {
		t.Errorf("container %s outlives its test", store.Name)
	}
}

func TestContainersThatRemoveThemselves(t *testing.T) {
	cli := Client(t)
	var store Running
	t.Run("inner", func(t *testing.T) {
		store = Run(t, Container{Image: ShopImage(t), Args: []string{"store"}, AutoRemove: true})
		if err := cli.ContainerKill(t.Context(), store.ID, "SIGKILL"); err != nil {
			t.Fatal(err)
		}
	})
	eventually(t, "the container is gone", func() error {
		if present(t, cli, store.ID) {
			return context.DeadlineExceeded
		}
		return nil
	})
}

// recorder is a test whose errors are looked at instead of reported.
type recorder struct {
	testing.TB
	cleanups []func()
	errors   int
}

func (r *recorder) Cleanup(f func())      { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(string, ...any) { r.errors++ }

func TestLeaksFailTheTest(t *testing.T) {
	cli := Client(t)
	watchedTest := &recorder{TB: t}
	Client(watchedTest)
	name := uniqueName("leak")
	created, err := cli.ContainerCreate(t.Context(), &container.Config{
		Image: ShopImage(t), Labels: labels(t, nil),
	}, nil, nil, nil, name)
	if err != nil {
		t.Fatal(err)
	}
	thing{kind: "container", id: created.ID, name: name}.cleanUp(t, cli)
	for _, f := range slices.Backward(watchedTest.cleanups) {
		f()
	}
	if watchedTest.errors != 1 {
		t.Errorf("a leaked container gave %d errors, want 1", watchedTest.errors)
	}
}

func TestSweepTakesOnlyWhatIsPastItsDeadline(t *testing.T) {
	cli := Client(t)
	create := func(deadline string) string {
		marks := labels(t, nil)
		if deadline != "" {
			marks[LabelDeadline] = deadline
		}
		name := uniqueName("sweep")
		created, err := cli.ContainerCreate(t.Context(), &container.Config{Image: ShopImage(t), Labels: marks}, nil, nil, nil, name)
		if err != nil {
			t.Fatal(err)
		}
		thing{kind: "container", id: created.ID, name: name}.cleanUp(t, cli)
		return created.ID
	}
	past, future, garbled := create("1000000000"), create(""), create("soon")
	sweep(t, cli)
	if present(t, cli, past) {
		t.Error("a container past its deadline was not removed")
	}
	if !present(t, cli, future) || !present(t, cli, garbled) {
		t.Error("a container that is not past its deadline was removed")
	}
}

func TestImagesAreReused(t *testing.T) {
	cli := Client(t)
	build := func() (name, id string) {
		name = ShopImage(t)
		is, err := cli.ImageInspect(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return name, is.ID
	}
	for try := 1; ; try++ {
		first, before := build()
		second, after := build()
		if first == second && before == after {
			return
		}
		// The first time another test program may have been importing the same.
		if first != second || try == 3 {
			t.Fatalf("two builds of the same source gave %s (%s) and %s (%s)", first, before, second, after)
		}
	}
}

func TestParseLdd(t *testing.T) {
	got, err := parseLdd([]byte("\tlinux-vdso.so.1 (0x00007ffc)\n\tlibm.so.6 => /lib/x/libm.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n"))
	if want := []string{"/lib/x/libm.so.6", "/lib64/ld-linux-x86-64.so.2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := parseLdd([]byte("\tlibx.so => not found\n")); err == nil {
		t.Error("a missing library is no error")
	}
}

func TestRecipeOfAMissingFile(t *testing.T) {
	r := recipe{repository: "faultline-test-none", files: map[string]string{"/a": "/nowhere/at/all"}}
	if _, err := r.build(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "pack a") {
		t.Errorf("error %v", err)
	}
}

// eventually polls until ok returns nil, and fails with its last error.
func eventually(t *testing.T, what string, ok func() error) {
	t.Helper()
	deadline := time.NewTimer(shopPatience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: %v", what, err)
		}
	}
}
