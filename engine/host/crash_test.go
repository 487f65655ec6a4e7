package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

func panicking() { panic("no bulb in the lamp") }

// deaths are how an Inject may end its plugin.
var deaths = map[string]func(){
	"panic in inject": panicking,
	"panic in a goroutine": func() {
		go panicking()
		select {}
	},
	"fatal error": func() { // no panic, which could be caught; and no race, of which the detector would speak
		var never sync.Mutex
		never.Unlock()
	},
	"os.Exit": func() { os.Exit(5) },
	"SIGKILL": func() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	},
}

// crash plays a plugin that crashes; false when the role is another.
func crash(role string) bool {
	if role == "panic in describe" {
		goplugin.Serve(&goplugin.ServeConfig{
			HandshakeConfig: goplugin.HandshakeConfig{ProtocolVersion: wire.Protocol, MagicCookieKey: wire.CookieKey, MagicCookieValue: wire.CookieValue},
			Plugins:         goplugin.PluginSet{wire.ServiceName: undescribed{}},
			GRPCServer:      goplugin.DefaultGRPCServer,
		})
		return true
	}
	die, ok := deaths[role]
	if !ok {
		return false
	}
	p := testPlugin("1.2.3")
	p.Faults = append(p.Faults, sdk.Fault[struct{}, markUndo]{
		Type: "testfile_death", Doc: "Dies.", Accepts: []schema.Accept{{Interface: "file"}},
		Hold: sdk.HoldJournal, Reversibility: sdk.Reversible, RevertTime: 1e9,
		Prepare: func(_ context.Context, t sdk.PrepareTarget, _ struct{}) (sdk.Prepared[markUndo], error) {
			return sdk.Prepared[markUndo]{Undo: markUndo{t.ID}, Incarnation: "1"}, nil
		},
		Inject: func(ctx context.Context, _ struct{}, _ markUndo) error {
			sdk.Log(ctx).Info("about to die")
			die()
			return nil
		},
		Observe: func(context.Context, struct{}, markUndo) (sdk.Effect, error) { return sdk.Effect{}, nil },
		Revert: func(context.Context, markUndo) (sdk.Reverted, error) {
			return sdk.Reverted{Outcome: sdk.AlreadyGone}, nil
		},
		Scan: func(context.Context, []sdk.Known[markUndo]) ([]sdk.Residue, error) { return nil, nil },
	})
	sdk.Serve(p)
	return true
}

// undescribed is a plugin that was written without the SDK, and crashes when it is asked
// what it is.
type undescribed struct {
	goplugin.NetRPCUnsupportedPlugin
	calls
}

type calls = wire.Server

func (u undescribed) GRPCServer(_ *goplugin.GRPCBroker, g *grpc.Server) error {
	wire.Register(g, u)
	return nil
}

func (undescribed) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, fmt.Errorf("no client")
}

func (undescribed) Describe(context.Context) (*schema.Description, error) {
	_, _ = syscall.Write(2, []byte("about to be described\n"))
	panicking()
	return nil, nil
}

func TestACrashSaysWhere(t *testing.T) {
	_, file, _, _ := runtime.Caller(0) // as the compiler names it, with -trimpath or without
	here := "(" + file
	where := ",\n  at github.com/faultline-go/faultline/engine/host.panicking " + here
	for role, want := range map[string][]string{
		// The SDK makes an error of a panic in a call of its own.
		"panic in inject":      {"the plugin panicked: no bulb in the lamp" + where},
		"panic in a goroutine": {"ended by itself (exit status 2): panic: no bulb in the lamp" + where, "before that it printed:\n  level=INFO msg=\"about to die\" type=testfile_death"},
		"fatal error":          {"ended by itself (exit status 2): fatal error: sync: unlock of unlocked mutex,\n  at github.com/faultline-go/faultline/engine/host.init.func", here, "about to die"},
		"os.Exit":              {"ended by itself (exit status 5); its last words:\n  level=INFO msg=\"about to die\""},
		"SIGKILL":              {"ended by itself (signal: killed); its last words:\n", "about to die"},
	} {
		t.Run(role, func(t *testing.T) {
			p := start(t, playing(t, role), wire.Configure{})
			err := inject(t.Context(), p, "testfile_death", filepath.Join(t.TempDir(), "mark"))
			if err == nil {
				t.Fatal("it was injected")
			}
			t.Log("the call:", err)
			if role != "panic in inject" {
				<-p.Done()
				if err = p.Err(); err == nil {
					t.Fatal("Err is nil")
				}
			}
			t.Log(err)
			said(t, err, want)
		})
	}
}

func TestACrashAtTheStartSaysWhere(t *testing.T) {
	for role, want := range map[string][]string{
		"panic at start":    {"it ended at its start (exit status 2)", "panic: no bulb in the lamp,\n  at github.com/faultline-go/faultline/engine/host.panicking ("},
		"panic in describe": {"it ended before it answered (exit status 2)", "panic: no bulb in the lamp,\n  at github.com/faultline-go/faultline/engine/host.panicking (", "before that it printed:", "\n  about to be described"},
	} {
		t.Run(role, func(t *testing.T) {
			_, err := playing(t, role).Start(t.Context(), "testfile", wire.Configure{})
			if err == nil {
				t.Fatal("it started")
			}
			t.Log(err)
			said(t, err, want)
		})
	}
}

func said(t *testing.T, err error, want []string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q", w)
		}
	}
	if n := strings.Count(err.Error(), "\n"); n > 14 {
		t.Errorf("the error has %d lines", n)
	}
}
