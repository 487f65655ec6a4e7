package plugintest_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk"
	"github.com/faultline-go/faultline/sdk/plugintest"
	"github.com/faultline-go/faultline/sdk/wire"
)

func TestMain(m *testing.M) { plugintest.Main(m, bent(), sleeper()) }

// bentCase is the case of a fault of plugin bent.
func bentCase(typ string) plugintest.Case {
	return plugintest.Case{
		Plugin: bent(), Type: typ, Target: newLamp, Bitten: isDark, State: lookAtLamp,
		Destroy: breakLamp, Replace: replaceLamp, Prompt: time.Second / 2,
	}
}

func TestASoundFaultKeepsEveryPromise(t *testing.T) { plugintest.Fault(t, bentCase("bent_sound")) }

func TestAFaultOnProcessesKeepsEveryPromise(t *testing.T) {
	plugintest.Fault(t, plugintest.Case{
		Plugin: sleeper(), Type: "sleeper_stop", Target: newSleeper, Bitten: isStopped, Destroy: endSleeper,
	})
}

// What ends by itself is held while it is renewed, and only then.
func TestAFaultThatEndsByItself(t *testing.T) {
	for _, check := range []string{"a renewed lease keeps what holds it", "it ends by itself when everybody is dead"} {
		if out, ok := playBent(t, "bent_held", check); !ok || !strings.Contains(out, "--- PASS: TestBent/"+strings.ReplaceAll(check, " ", "_")) {
			t.Errorf("%s:\n%s", check, out)
		}
	}
}

func TestAnIrreversibleFault(t *testing.T) {
	plugintest.Fault(t, plugintest.Case{
		Plugin: bent(), Type: "bent_final", Target: newLamp, Bitten: isDark, State: lookAtLamp, AcceptIrreversible: true,
	})
}

// bentEnv makes TestBent run, in a process whose failure is what is wanted.
const bentEnv = "PLUGINTEST_BENT"

func TestBent(t *testing.T) {
	typ := os.Getenv(bentEnv)
	if typ == "" {
		t.Skip("plays its part for TestBentFaultsAreFound")
	}
	c := bentCase(typ)
	c.Timeout = 4 * time.Second // what a bent fault never does is waited for that long
	if typ == "unregistered" {
		c.Plugin.Name = typ
	}
	plugintest.Fault(t, c)
}

// Each of these faults breaks one promise, and the check of that promise says so.
func TestBentFaultsAreFound(t *testing.T) {
	for _, c := range []struct{ typ, check, says string }{
		{"bent_undocumented", "the description is complete", "doc is empty"},
		{"bent_touching", "prepare changes nothing", "after Prepare the target is not as it was"},
		{"bent_injecting", "prepare changes nothing", "after Prepare the fault is in the target"},
		{"bent_fickle", "prepare changes nothing", "different undo records"},
		{"bent_idle", "the fault bites and is put back", "Bitten sees nothing"},
		{"bent_blind", "the fault bites and is put back", "Observe does not say that it bites"},
		{"bent_boasting", "the fault bites and is put back", "still bites after Revert"},
		{"bent_sloppy", "the fault bites and is put back", "is not as it was"},
		{"bent_pretending", "the fault bites and is put back", "after Revert the fault is in the target"},
		{"bent_unproven", "the fault bites and is put back", "gives no proof"},
		{"bent_panicking", "the fault bites and is put back", "the plugin panicked: oh dear"},
		{"bent_narrow", "several targets at once", "Bitten sees nothing"},
		{"bent_once", "revert is idempotent", "the second Revert failed"},
		{"bent_eager", "revert without inject does no harm", "is not as it was"},
		{"bent_strict", "revert without inject does no harm", "Revert without Inject failed"},
		{"bent_remembering", "revert needs only the undo record", "the fault is in the target"},
		{"bent_remembering", "crash after inject", "the fault is in the target"},
		{"bent_silent", "scan tells the truth", "finds nothing while the fault is in"},
		{"bent_crying", "scan tells the truth", "before Inject"},
		{"bent_deaf", "calls end with their context", "Inject did not return within"},
		{"bent_vague", "a target that is gone", "does not return sdk.ErrGone"},
		{"bent_stubborn", "a target that is gone", "Revert of a target that is gone failed"},
		{"bent_trusting", "another incarnation is left alone", "did not notice"},
		{"bent_halfway", "crash during inject", "is not as it was"},
		{"bent_fragile", "crash during revert", "is not as it was"},
		{"bent_forgetful", "a renewed lease keeps what holds it", "what holds it was not told"},
		{"bent_undying", "it ends by itself when everybody is dead", "promises that it ends by itself"},
		{"bent_leaking", "leaves nothing running", "goroutines"},
		{"bent_littering", "leaves nothing running", "left processes behind"},
	} {
		t.Run(strings.TrimPrefix(c.typ, "bent_")+" "+c.check, func(t *testing.T) {
			t.Parallel() // each is a process of its own, and mostly waits
			out, ok := playBent(t, c.typ, c.check)
			name := "TestBent/" + strings.ReplaceAll(c.check, " ", "_")
			if ok || !strings.Contains(out, "--- FAIL: "+name) || !strings.Contains(out, c.says) {
				t.Errorf("the check did not find it, or did not say %q:\n%s", c.says, out)
			}
		})
	}
}

// playBent runs one check of a bent fault in a process of its own.
func playBent(t *testing.T, typ, check string) (out string, ok bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^TestBent$/^"+strings.ReplaceAll(check, " ", "_")+"$")
	cmd.Env = append(os.Environ(), bentEnv+"="+typ)
	raw, err := cmd.CombinedOutput()
	if failed := new(exec.ExitError); err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return string(raw), err == nil
}

func TestFaultWantsItsMain(t *testing.T) {
	out, ok := playBent(t, "unregistered", "anything")
	if ok || !strings.Contains(out, "func TestMain(m *testing.M) { plugintest.Main(m, plugin()) }") {
		t.Errorf("a plugin that Main does not know:\n%s", out)
	}
}

// What a test leaves in place is put back when it ends.
func TestClientPutsBack(t *testing.T) {
	target := newLamp(t)
	t.Run("a test that ends too early", func(t *testing.T) {
		c := plugintest.Client(t, bent(), plugintest.WithSettings(map[string]any{"greeting": "hello"}))
		prepared, err := c.Prepare(t.Context(), wire.Prepare{Type: "bent_sound", Targets: []sdk.Candidate{target}})
		if err != nil || len(prepared) != 1 {
			t.Fatalf("%+v, %v", prepared, err)
		}
		injected, err := c.Inject(t.Context(), wire.Inject{
			Lease: plugintest.Lease("f"), Type: "bent_sound", TTL: time.Minute, HardEnd: time.Minute,
			Targets: []wire.Undo{{Target: target.ID, Undo: prepared[0].Undo}},
		})
		if err != nil || len(injected) != 1 || injected[0].Err != "" {
			t.Fatalf("%+v, %v", injected, err)
		}
		if dark, err := isDark(target); !dark || err != nil {
			t.Fatalf("dark: %v, %v", dark, err)
		}
	})
	if dark, err := isDark(target); dark || err != nil {
		t.Errorf("after the test: dark %v, %v", dark, err)
	}
}
