package host

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/faultline-go/faultline/engine/trust"
	"github.com/faultline-go/faultline/sdk/wire"
)

// mind is a Trust that can change.
type mind struct {
	mu    sync.Mutex
	basis trust.Basis
	asked []trust.Binary
}

func (m *mind) set(b trust.Basis) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.basis = b
}

func (m *mind) trust(b trust.Binary) (trust.Basis, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, b)
	if m.basis == "" {
		return "", errors.New("nothing vouches for " + b.Path)
	}
	return m.basis, nil
}

func TestNothingOfAnUntrustedBinaryIsExecuted(t *testing.T) {
	var m mind
	dir, ran := t.TempDir(), filepath.Join(t.TempDir(), "ran")
	script := "#!/bin/sh\necho ran >>" + ran + "\n"
	if err := os.WriteFile(filepath.Join(dir, Prefix+"testfile"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	h := New(Options{PluginDirs: []string{dir}, StateDir: state, CacheDir: t.TempDir(), Trust: m.trust})
	for name, call := range map[string]func() error{
		"describe": func() error { _, err := h.Describe(t.Context(), "testfile"); return err },
		"start":    func() error { _, err := h.Start(t.Context(), "testfile", wire.Configure{}); return err },
		"start for a run": func() error {
			_, err := h.Start(t.Context(), "testfile", wire.Configure{Run: "r", RunDir: t.TempDir()})
			return err
		},
		"list": func() error { return h.List(t.Context())[0].Err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "nothing vouches") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if exists(ran) || exists(filepath.Join(state, "plugins")) {
		t.Error("a binary that nothing vouches for was executed or copied")
	}
	for _, b := range m.asked {
		if b.Name != "testfile" || b.Path != filepath.Join(dir, Prefix+"testfile") || len(b.Sum) != 64 {
			t.Errorf("asked about %+v", b)
		}
	}
	m.set(trust.Locked) // the proof that it would have run
	_, _ = h.Describe(t.Context(), "testfile")
	if !exists(ran) {
		t.Error("the test proves nothing: the binary does not run where it may")
	}
}

// A description in the cache says that the binary was trusted once, not that it is.
func TestACachedDescriptionVouchesForNothing(t *testing.T) {
	m := mind{basis: trust.Insecure}
	h := playing(t, "plugin", func(o *Options) { o.CacheDir, o.Trust = t.TempDir(), m.trust })
	if _, err := h.Describe(t.Context(), "testfile"); err != nil {
		t.Fatal(err)
	}
	m.set("")
	if _, err := h.Describe(t.Context(), "testfile"); err == nil {
		t.Error("a plugin is described from the cache although it may not start")
	}
	if _, err := h.Start(t.Context(), "testfile", wire.Configure{}); err == nil {
		t.Error("a plugin starts because its description is in the cache")
	}
}

// Recovery needs what was kept, whatever is trusted by then, and no lock file.
func TestTheBinaryOfARunStartsAgain(t *testing.T) {
	m := mind{basis: trust.Override}
	h := playing(t, "plugin", func(o *Options) { o.StateDir, o.Trust = t.TempDir(), m.trust })
	q := wire.Configure{Run: "r", RunDir: t.TempDir()}
	p := start(t, h, q)
	if p.Trust != trust.Override {
		t.Errorf("started on the ground %q", p.Trust)
	}
	p.Kill()
	m.set("")
	if _, err := h.Start(t.Context(), "testfile", q); err == nil {
		t.Error("the kept copy makes the original start")
	}
	again, err := h.StartBinary(t.Context(), p.Path, p.SHA256, q, Inherit(p.Environment...))
	if err != nil {
		t.Fatal(err)
	}
	again.Kill()
}

// What a plugin's description declares is inherited by faultline's own plugins alone.
func TestDeclaredVariables(t *testing.T) {
	t.Setenv("HOST_TEST_DECLARED", "1")
	t.Setenv("HOST_TEST_NAMED", "1")
	for _, cache := range []string{"", t.TempDir()} {
		for _, basis := range []trust.Basis{trust.BuiltIn, trust.Locked, trust.Override, trust.Insecure} {
			m := mind{basis: basis}
			h := playing(t, "plugin", func(o *Options) { o.CacheDir, o.Trust = cache, m.trust })
			p, err := h.Start(t.Context(), "testfile", wire.Configure{}, Inherit("HOST_TEST_NAMED"))
			if err != nil {
				t.Fatal(err)
			}
			env := strings.Split(act(t, p, "testfile_environment"), "\n")
			p.Kill()
			own := basis == trust.BuiltIn
			if slices.Contains(env, "HOST_TEST_DECLARED=1") != own || !slices.Contains(env, "HOST_TEST_NAMED=1") {
				t.Errorf("%s: the plugin's environment is\n%s", basis, strings.Join(env, "\n"))
			}
			want := []string{"HOST_TEST_NAMED"}
			if own {
				want = []string{"HOST_TEST_DECLARED", "HOST_TEST_NAMED"}
			}
			if !slices.Equal(p.Environment, want) {
				t.Errorf("%s: said to inherit %v", basis, p.Environment)
			}
		}
	}
}

// What runs is what was hashed and allowed, whatever lies at its path by then.
func TestTheFileThatWasHashedIsTheOneThatRuns(t *testing.T) {
	h := playing(t, "plugin")
	dir, ran := t.TempDir(), filepath.Join(t.TempDir(), "ran")
	path := filepath.Join(dir, Prefix+"testfile")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	b, err := openHashed("testfile", path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if err := h.allow(b); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("#!/bin/sh\necho ran >>"+ran+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	p, err := h.launch(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if exists(ran) || p.Version != "1.2.3" {
		t.Errorf("what lay at the path was executed: %v, version %s", exists(ran), p.Version)
	}
	b.basis = ""
	if _, err := h.launch(t.Context(), b); err == nil {
		t.Error("a binary that nobody has allowed was executed")
	}
}
