//go:build linux

package toxiproxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2/client"
)

// serve starts an API and the unchanged client of it.
func serve(t *testing.T) (*toxiproxy.Client, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := Start(l)
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return toxiproxy.NewClient(l.Addr().String()), l.Addr().String()
}

func echoServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

// ask sends a line and says how long its answer took.
func ask(address, text string) (time.Duration, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return 0, err
	}
	at := time.Now()
	if _, err := io.WriteString(c, text); err != nil {
		return 0, err
	}
	_, err = io.ReadFull(c, make([]byte, len(text)))
	return time.Since(at), err
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestClientUnchanged(t *testing.T) {
	c, _ := serve(t)
	upstream := echoServer(t)
	p := must[*toxiproxy.Proxy](t)(c.CreateProxy("db", "127.0.0.1:0", upstream))
	if !p.Enabled || strings.HasSuffix(p.Listen, ":0") {
		t.Errorf("%+v", p)
	}
	must[time.Duration](t)(ask(p.Listen, "hello"))
	if _, err := c.CreateProxy("db", "127.0.0.1:0", upstream); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("a second proxy of the same name: %v", err)
	}

	toxic := must[*toxiproxy.Toxic](t)(p.AddToxic("", "latency", "", -1, toxiproxy.Attributes{"latency": 150}))
	if toxic.Name != "latency_downstream" || toxic.Stream != "downstream" || toxic.Toxicity != 1 {
		t.Errorf("%+v", toxic)
	}
	if took := must[time.Duration](t)(ask(p.Listen, "hello")); took < 150*time.Millisecond {
		t.Errorf("with 150 ms of latency an answer took %s", took)
	}
	changed := must[*toxiproxy.Toxic](t)(p.UpdateToxic("latency_downstream", -1, toxiproxy.Attributes{"latency": 300}))
	if changed.Attributes["latency"] != 300. || changed.Toxicity != 1 {
		t.Errorf("%+v", changed)
	}
	if took := must[time.Duration](t)(ask(p.Listen, "hello")); took < 300*time.Millisecond {
		t.Errorf("with 300 ms of latency an answer took %s", took)
	}
	if all := must[toxiproxy.Toxics](t)(p.Toxics()); len(all) != 1 || all[0].Name != "latency_downstream" {
		t.Errorf("%+v", all)
	}
	if err := p.RemoveToxic("latency_downstream"); err != nil {
		t.Fatal(err)
	}
	if err := p.RemoveToxic("latency_downstream"); err == nil {
		t.Error("a toxic was removed twice")
	}

	if err := p.Disable(); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(p.Listen, "hello"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a disabled proxy: %v", err)
	}
	if err := p.Enable(); err != nil {
		t.Fatal(err)
	}
	must[time.Duration](t)(ask(p.Listen, "hello"))

	must[*toxiproxy.Toxic](t)(p.AddToxic("x", "reset_peer", "upstream", 1, nil))
	if err := p.Disable(); err != nil {
		t.Fatal(err)
	}
	if err := c.ResetState(); err != nil {
		t.Fatal(err)
	}
	must[time.Duration](t)(ask(p.Listen, "hello"))
	if all := must[map[string]*toxiproxy.Proxy](t)(c.Proxies()); len(all) != 1 || len(all["db"].ActiveToxics) != 0 || !all["db"].Enabled {
		t.Errorf("%+v", all)
	}
	p.Upstream, p.Enabled = echoServer(t), true
	if err := p.Save(); err != nil {
		t.Fatal(err)
	}
	must[time.Duration](t)(ask(p.Listen, "hello"))
	if err := p.Delete(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Proxy("db"); err == nil {
		t.Error("a proxy that was deleted is there")
	}
	if _, err := ask(p.Listen, "hello"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a deleted proxy: %v", err)
	}
}

func TestPopulate(t *testing.T) {
	c, _ := serve(t)
	upstream := echoServer(t)
	all := must[[]*toxiproxy.Proxy](t)(c.Populate([]toxiproxy.Proxy{
		{Name: "one", Listen: "127.0.0.1:0", Upstream: upstream, Enabled: true},
		{Name: "two", Listen: "127.0.0.1:0", Upstream: upstream, Enabled: false},
	}))
	if len(all) != 2 || !all[0].Enabled || all[1].Enabled {
		t.Fatalf("%+v", all)
	}
	must[time.Duration](t)(ask(all[0].Listen, "hello"))
	// The same again changes nothing.
	again := must[[]*toxiproxy.Proxy](t)(c.Populate([]toxiproxy.Proxy{{Name: "one", Listen: all[0].Listen, Upstream: upstream, Enabled: true}}))
	if len(again) != 1 || again[0].Listen != all[0].Listen {
		t.Errorf("%+v", again)
	}
	if _, err := c.Populate([]toxiproxy.Proxy{{Name: "three", Listen: "127.0.0.1:0"}}); err == nil {
		t.Error("a proxy without upstream was taken")
	}
}

// What every toxic does to a question and its answer of 20 bytes.
func TestToxics(t *testing.T) {
	c, _ := serve(t)
	p := must[*toxiproxy.Proxy](t)(c.CreateProxy("p", "127.0.0.1:0", echoServer(t)))
	for _, x := range []struct {
		typ        string
		attributes toxiproxy.Attributes
		least      time.Duration
		fails      bool
	}{
		{"latency", toxiproxy.Attributes{"latency": 100, "jitter": 10}, 90 * time.Millisecond, false},
		{"bandwidth", toxiproxy.Attributes{"rate": 1}, 0, false},
		{"slow_close", toxiproxy.Attributes{"delay": 10}, 0, false},
		{"timeout", toxiproxy.Attributes{"timeout": 50}, 50 * time.Millisecond, true},
		{"reset_peer", toxiproxy.Attributes{"timeout": 0}, 0, true},
		{"slicer", toxiproxy.Attributes{"average_size": 1, "size_variation": 0, "delay": 10000}, 150 * time.Millisecond, false},
		{"limit_data", toxiproxy.Attributes{"bytes": 10}, 0, true},
	} {
		must[*toxiproxy.Toxic](t)(p.AddToxic("t", x.typ, "downstream", 1, x.attributes))
		at := time.Now()
		_, err := ask(p.Listen, strings.Repeat("x", 20))
		if took := time.Since(at); took < x.least || (err != nil) != x.fails {
			t.Errorf("%s: took %s, %v", x.typ, took, err)
		}
		if err := p.RemoveToxic("t"); err != nil {
			t.Error(err)
		}
	}
	must[*toxiproxy.Toxic](t)(p.AddToxic("never", "reset_peer", "downstream", 0, nil))
	must[time.Duration](t)(ask(p.Listen, "hello"))
}

func TestWhatCannotWorkIsRefused(t *testing.T) {
	c, address := serve(t)
	p := must[*toxiproxy.Proxy](t)(c.CreateProxy("p", "127.0.0.1:0", echoServer(t)))
	for _, x := range []struct {
		typ, stream string
		toxicity    float32
		attributes  toxiproxy.Attributes
	}{
		{"gremlin", "", 1, nil},
		{"latency", "sideways", 1, nil},
		{"latency", "", 2, nil},
		{"latency", "", 1, toxiproxy.Attributes{"latency": -1}},
		{"latency", "", 1, toxiproxy.Attributes{"delay": 1}},
		{"latency", "", 1, toxiproxy.Attributes{"latency": "long"}},
		{"bandwidth", "", 1, nil},
		{"slicer", "", 1, nil},
		{"slicer", "", 1, toxiproxy.Attributes{"average_size": 1, "size_variation": 1}},
		{"limit_data", "", 1, toxiproxy.Attributes{"bytes": -1}},
		{"timeout", "", 1, toxiproxy.Attributes{"timeout": int64(1) << 60}},
	} {
		if _, err := p.AddToxic("t", x.typ, x.stream, x.toxicity, x.attributes); err == nil || !strings.Contains(err.Error(), "400") {
			t.Errorf("%+v was answered with %v", x, err)
		}
	}
	must[time.Duration](t)(ask(p.Listen, "hello"))
	r, err := http.NewRequest(http.MethodPost, "http://"+address+"/reset", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "Mozilla/5.0")
	if resp := must[*http.Response](t)(http.DefaultClient.Do(r)); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a browser was answered with %s", resp.Status)
	}
	resp := must[*http.Response](t)(http.Get("http://" + address + "/version"))
	defer resp.Body.Close()
	if v, _ := io.ReadAll(resp.Body); string(v) != Version {
		t.Errorf("version %q", v)
	}
}
