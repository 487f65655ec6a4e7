package host

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/sdk/wire"
)

// built builds a program of testdata, or of the module, into a folder under a name.
func built(t *testing.T, dir, name, pkg string, flags ...string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	args := append([]string{"build", "-o", path}, flags...)
	if out, err := exec.CommandContext(t.Context(), "go", append(args, pkg)...).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	return path
}

// Plugins of other times meet engines of this one and of others: real processes both.
func TestPluginsOfAnotherTime(t *testing.T) {
	of := map[string]string{}
	for _, speaks := range []string{"0", "1", "1,2", "2", "2,3"} {
		dir := t.TempDir()
		built(t, dir, Prefix+"lamp", "./testdata/skew/plugin", "-ldflags", "-X main.speaks="+speaks)
		of[speaks] = dir
	}
	today := t.TempDir()
	built(t, today, Prefix+"lamp", "../../sdk/internal/lamp")
	of["today's"] = today

	for _, c := range []struct {
		plugin string
		engine protocols
		picks  int
		want   string // of the error
	}{
		{"today's", protocols{1, 1}, 1, ""},
		{"today's", protocols{1, 2}, 1, ""},
		{"today's", protocols{2, 3}, 0, "it speaks protocol 1, this faultline speaks 2 to 3; upgrade the plugin"},
		{"0", protocols{1, 1}, 0, "it speaks protocol 0, this faultline speaks 1; upgrade the plugin"},
		{"0", protocols{0, 1}, 0, ""},
		{"1", protocols{1, 1}, 1, ""},
		{"1,2", protocols{1, 1}, 1, ""},
		{"1,2", protocols{1, 2}, 2, ""},
		{"1,2", protocols{1, 3}, 2, ""},
		{"2", protocols{1, 1}, 0, "it speaks protocol 2, this faultline speaks 1; upgrade faultline"},
		{"2,3", protocols{1, 1}, 0, "it speaks protocol 2, this faultline speaks 1; upgrade faultline"},
	} {
		h := New(Options{PluginDirs: []string{of[c.plugin]}})
		h.protocols = c.engine
		p, err := h.Start(t.Context(), "lamp", wire.Configure{})
		if err == nil {
			p.Kill()
		}
		switch {
		case c.want == "" && err != nil:
			t.Errorf("plugin of protocol %s, engine of %v: %v", c.plugin, c.engine, err)
		case c.want == "" && p.Protocol != c.picks:
			t.Errorf("plugin of protocol %s, engine of %v: they speak %d, want %d", c.plugin, c.engine, p.Protocol, c.picks)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("plugin of protocol %s, engine of %v: %v\nwant %s", c.plugin, c.engine, err, c.want)
		}
	}
	noChildren(t)
}

// Which protocols a plugin speaks is found out one by one.
func TestProtocolsOfAFile(t *testing.T) {
	dir := t.TempDir()
	path := built(t, dir, "anything", "./testdata/skew/plugin", "-ldflags", "-X main.speaks=1,3")
	h := New(Options{CacheDir: t.TempDir()})
	h.protocols = protocols{0, 3}
	if got, err := h.Protocols(t.Context(), "lamp", path); err != nil || !slices.Equal(got, []int{1, 3}) {
		t.Errorf("it speaks %v, %v", got, err)
	}
	// What it is asked once is answered in the newest, and from the cache as well.
	for range 2 {
		if d, err := h.DescribeFile(t.Context(), "lamp", path); err != nil || d.Protocol != 3 {
			t.Errorf("it answers in %d, %v", d.Protocol, err)
		}
	}
	var other *NameError
	if got, err := h.Protocols(t.Context(), "fan", path); !errors.As(err, &other) {
		t.Errorf("of another plugin: %v, %v", got, err)
	}
	noChildren(t)
}

// Today's plugins under engines of other times.
func TestEnginesOfAnotherTime(t *testing.T) {
	dir := t.TempDir()
	engine := built(t, dir, "engine", "./testdata/skew/engine")
	plugin := built(t, dir, Prefix+"lamp", "../../sdk/internal/lamp")
	for offers, want := range map[string]string{
		"old": "plugin lamp, protocol 1",
		"1":   "plugin lamp, protocol 1",
		"1,2": "plugin lamp, protocol 1",
		"2,3": "failed: incompatible API version", // go-plugin's words: the plugin has named its own
	} {
		cmd := exec.CommandContext(t.Context(), engine, plugin, offers)
		cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir()) // of one that is killed the socket stays
		in, err := cmd.StdinPipe()                            // which the engine's plugin inherits: its end is the engine's
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("an engine that offers %s: %v: %s", offers, err, out)
		}
	}
}

// Within a protocol a plugin may know less, or more: what it says too much is not read,
// and what it does not have is named.
func TestAPluginThatKnowsLess(t *testing.T) {
	dir := t.TempDir()
	built(t, dir, Prefix+"lamp", "./testdata/skew/plugin")
	p, err := New(Options{PluginDirs: []string{dir}}).Start(t.Context(), "lamp", wire.Configure{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	if f := p.Description.Fault("lamp_off"); f == nil || f.Config.Attribute("suffix") == nil {
		t.Errorf("description %+v", p.Description)
	}
	const want = "the plugin does not know the call %s: it was made for an older faultline; upgrade the plugin"
	if _, err := p.Scan(t.Context(), nil); err == nil || err.Error() != strings.ReplaceAll(want, "%s", "Scan") {
		t.Errorf("Scan: %v", err)
	}
	if _, err := p.Act(t.Context(), "x", nil); err == nil || err.Error() != strings.ReplaceAll(want, "%s", "Act") {
		t.Errorf("Act: %v", err)
	}
}
