package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

// The test binary plays plugins and engines when this variable says so: tests build
// nothing, and what they start are real processes.
const plays = "HOST_TEST_PLAYS"

func TestMain(m *testing.M) {
	if role := os.Getenv(plays); role != "" {
		play(role)
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/faultline-go/faultline/engine/host.forkForever"))
}

func play(role string) {
	switch role {
	case "plugin":
		sdk.Serve(testPlugin("1.2.3"))
	case "noisy":
		p := testPlugin("1.2.3")
		p.Settings = sdk.SettingsOf(func(context.Context, struct{}) error {
			_, _ = syscall.Write(2, []byte("{\"@message\":1}\n\x1b[31mred\x1b[0m\n"+strings.Repeat("x", 100_000)+"\nraw words\n"))
			_, _ = syscall.Write(1, []byte("on descriptor 1\n"))
			fmt.Println("on standard output")
			fmt.Fprintln(os.Stderr, "on standard error")
			return nil
		})
		sdk.Serve(p)
	case "endless": // lists targets that together are more than any answer may be
		p := testPlugin("1.2.3")
		p.Targets = []sdk.TargetType{sdk.Target[struct{}]{
			Type: "testfile_endless", Doc: "Files without end.", Interfaces: []string{"file"},
			Discover: func(context.Context, struct{}) ([]sdk.Candidate, error) {
				out := make([]sdk.Candidate, 100_000)
				for i := range out {
					out[i] = sdk.Candidate{ID: fmt.Sprint(i), Name: strings.Repeat("x", 1000)}
				}
				return out, nil
			},
		}}
		p.Actions = append(p.Actions, sdk.Action[struct{}]{Type: "testfile_huge", Doc: "Says too much.", Do: func(context.Context, struct{}) (string, error) {
			return strings.Repeat("x", wire.MaxMessage), nil
		}})
		sdk.Serve(p)
	case "crash":
		fmt.Fprintln(os.Stderr, "cannot find my marbles")
		os.Exit(3)
	case "crash at configure":
		p := testPlugin("1.2.3")
		p.Settings = sdk.SettingsOf(func(context.Context, struct{}) error {
			_, _ = syscall.Write(2, []byte("lost my marbles\n"))
			os.Exit(4)
			return nil
		})
		sdk.Serve(p)
	case "refuse settings":
		p := testPlugin("1.2.3")
		p.Settings = sdk.SettingsOf(func(context.Context, struct{}) error { return errors.New("no marbles are configured") })
		sdk.Serve(p)
	case "hang at configure":
		p := testPlugin("1.2.3")
		p.Settings = sdk.SettingsOf(func(ctx context.Context, _ struct{}) error { select {} })
		sdk.Serve(p)
	case "garbage":
		fmt.Println("Hello! What can I do for you today?")
		forever()
	case "binary garbage":
		_, _ = os.Stdout.Write(make([]byte, 1<<20)) // no newline
		forever()
	case "silent":
		os.Stdout.Close()
		forever()
	case "hang":
		forever()
	case "deaf": // introduces itself and answers nothing
		path := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "deaf")
		if _, err := net.Listen("unix", path); err != nil {
			panic(err)
		}
		fmt.Printf("1|%d|unix|%s|grpc\n", wire.Protocol, path)
		forever()
	case "absent":
		fmt.Printf("1|%d|unix|%s|grpc\n", wire.Protocol, filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "none"))
		forever()
	case "old":
		fmt.Printf("1|%d|unix|/nowhere|grpc\n", wire.Protocol-1)
		forever()
	case "new":
		fmt.Printf("1|%d|unix|/nowhere|grpc\n", wire.Protocol+1)
		forever()
	case "tcp":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		fmt.Printf("1|%d|tcp|%s|grpc\n", wire.Protocol, l.Addr())
		forever()
	case "elsewhere": // where every user may connect
		l, err := net.Listen("unix", fmt.Sprintf("@faultline-test-%d", os.Getpid()))
		if err != nil {
			panic(err)
		}
		fmt.Printf("1|%d|unix|%s|grpc\n", wire.Protocol, l.Addr())
		forever()
	case "stubborn": // does not end when it is asked to
		signal.Ignore(syscall.SIGTERM)
		p := testPlugin("1.2.3")
		p.Faults = append(p.Faults, markFault("testfile_sticky", func(undo markUndo) error { return errors.New("it sticks") }))
		sdk.Serve(p)
	case "engine":
		playEngine()
	case "panic at start":
		panicking()
	default:
		if crash(role) {
			return
		}
		fmt.Fprintf(os.Stderr, "no role %q\n", role)
		os.Exit(9)
	}
}

// forever waits to be killed. A program in which nothing can happen any more ends by
// itself: something happens here, now and then.
func forever() {
	signal.Ignore(syscall.SIGTERM)
	for range time.Tick(time.Hour) {
	}
}

type markUndo struct {
	Path string `json:"path"`
}

// markFault is a fault on a file: it is there, or not.
func markFault(typ string, revert func(markUndo) error) sdk.FaultType {
	return sdk.Fault[struct{}, markUndo]{
		Type: typ, Doc: "Makes a file.", Accepts: []schema.Accept{{Interface: "file"}},
		Hold: sdk.HoldJournal, Reversibility: sdk.Reversible, RevertTime: time.Second,
		Prepare: func(_ context.Context, t sdk.PrepareTarget, _ struct{}) (sdk.Prepared[markUndo], error) {
			return sdk.Prepared[markUndo]{Undo: markUndo{t.ID}, Incarnation: "1"}, nil
		},
		Inject: func(_ context.Context, _ struct{}, u markUndo) error {
			return os.WriteFile(u.Path, nil, 0o600)
		},
		Observe: func(_ context.Context, _ struct{}, u markUndo) (sdk.Effect, error) {
			_, err := os.Stat(u.Path)
			return sdk.Effect{Bites: err == nil}, nil
		},
		Revert: func(_ context.Context, u markUndo) (sdk.Reverted, error) {
			if err := revert(u); err != nil {
				return sdk.Reverted{}, err
			}
			return sdk.Reverted{Outcome: sdk.PutBack, Proof: "the file is gone"}, nil
		},
		Scan: func(context.Context, []sdk.Known[markUndo]) ([]sdk.Residue, error) { return nil, nil },
	}
}

// testPlugin is what most roles serve.
func testPlugin(version string) sdk.Plugin {
	return sdk.Plugin{
		Name: "testfile", Version: version, Doc: "A plugin for tests.",
		Environment: []schema.EnvVar{{Name: "HOST_TEST_DECLARED", Doc: "For tests."}},
		Faults: []sdk.FaultType{markFault("testfile_mark", func(u markUndo) error {
			if err := os.Remove(u.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		})},
		Actions: []sdk.ActionType{
			sdk.Action[struct{}]{Type: "testfile_descriptors", Doc: "Lists the open files.", Do: func(context.Context, struct{}) (string, error) {
				var open []string
				fds, err := os.ReadDir("/proc/self/fd")
				for _, fd := range fds {
					if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil {
						open = append(open, to)
					}
				}
				return strings.Join(open, "\n"), err
			}},
			sdk.Action[struct{}]{Type: "testfile_environment", Doc: "Lists the environment.", Do: func(context.Context, struct{}) (string, error) {
				return strings.Join(os.Environ(), "\n"), nil
			}},
			sdk.Action[struct{}]{Type: "testfile_child", Doc: "Starts a process that hangs.", Do: func(context.Context, struct{}) (string, error) {
				p, err := os.StartProcess("/proc/self/exe", []string{"child"}, &os.ProcAttr{
					Env: []string{plays + "=hang"}, Files: []*os.File{nil, os.NewFile(2, ""), os.NewFile(2, "")},
				})
				if err != nil {
					return "", err
				}
				return fmt.Sprint(p.Pid), nil
			}},
			sdk.Action[struct{}]{Type: "testfile_exit", Doc: "Ends the plugin.", Do: func(context.Context, struct{}) (string, error) {
				_, _ = syscall.Write(2, []byte("I am off\n"))
				os.Exit(7)
				return "", nil
			}},
		},
	}
}

// playEngine starts a plugin for a run, injects a fault, says so, and hangs. The
// run's lock is held meanwhile.
func playEngine() {
	dir, mark := os.Getenv("HOST_TEST_DIR"), os.Getenv("HOST_TEST_MARK")
	fail := func(err error) {
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
	store, err := journal.Open(filepath.Join(dir, "state"))
	fail(err)
	w, err := store.Create("r1")
	fail(err)
	ctx := context.Background()
	h := New(Options{PluginDirs: []string{dir}, StateDir: store.Dir(), Environ: func() []string { return []string{plays + "=plugin"} }, Inherit: []string{plays}})
	p, err := h.Start(ctx, "testfile", wire.Configure{Run: "r1", RunDir: w.Dir()})
	fail(err)
	fail(inject(ctx, p, "testfile_mark", mark))
	open, err := p.Act(ctx, "testfile_descriptors", json.RawMessage(`{}`))
	fail(err)
	raw, err := json.Marshal(ready{Plugin: p.PID(), Open: open})
	fail(err)
	fmt.Println(string(raw))
	select {}
}

// ready is what a played engine prints.
type ready struct {
	Plugin int
	Open   string
}

// inject injects a fault on one file, with a lease that outlives every test, and a
// session that ends with ctx.
func inject(ctx context.Context, p *Plugin, typ, path string) error {
	session, err := p.Session(ctx)
	if err != nil {
		return err
	}
	if err := session.Renew(wire.Renewal{Sequence: 1}); err != nil {
		return err
	}
	if _, err := session.Next(); err != nil {
		return err
	}
	prepared, err := p.Prepare(ctx, wire.Prepare{Type: typ, Config: json.RawMessage(`{}`), Targets: []schema.Candidate{{ID: path, Name: path}}})
	if err != nil {
		return err
	}
	if len(prepared) != 1 || prepared[0].Err != "" {
		return fmt.Errorf("prepared: %+v", prepared)
	}
	done, err := p.Inject(ctx, wire.Inject{
		Lease: wire.Lease{Run: "r1", Fault: "f1", Epoch: 1}, Type: typ, Config: json.RawMessage(`{}`),
		Targets: []wire.Undo{{Target: path, Undo: prepared[0].Undo}}, TTL: time.Hour, HardEnd: time.Hour,
	})
	if err != nil {
		return err
	}
	if len(done) != 1 || done[0].Err != "" {
		return fmt.Errorf("injected: %+v", done)
	}
	return nil
}
